// Tables of AMQP, as librabbitmq has them: made from and turned to what C++ has.
#pragma once

#include <amqp.h>
#include <amqp_framing.h>

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

#include "common/amqp/connection.h"

namespace curfew::amqp {

[[nodiscard]] inline amqp_bytes_t bytes(std::string_view text) {
    return {.len = text.size(), .bytes = const_cast<char*>(text.data())};
}
[[nodiscard]] inline std::string_view view(const amqp_bytes_t& found) {
    return {static_cast<const char*>(found.bytes), found.len};
}

/// A table to be sent. Names and texts are the caller's, as long as it lives.
class Table {
public:
    void add(const char* name, std::string_view value);
    void add(const char* name, std::int64_t value);
    void add(const char* name, bool value);
    void add(const char* name, Table& value);
    [[nodiscard]] amqp_table_t get() {
        return {.num_entries = static_cast<int>(entries_.size()), .entries = entries_.data()};
    }

private:
    amqp_field_value_t& entry(const char* name, amqp_field_value_kind_t kind);
    std::vector<amqp_table_entry_t> entries_;
};

/// Of one entry, as text; empty where there is none.
[[nodiscard]] std::string text_of(const amqp_table_t& table, std::string_view name);
[[nodiscard]] Properties properties_of(const amqp_basic_properties_t& found);

}  // namespace curfew::amqp
