// What a sender said of its message beside its bytes and its id: how to answer it, what its bytes
// are, headers. Travels with the task to its work, and with the report to the sink, as one field of
// bytes: who does not know it passes it on. The names are those of AMQP 0-9-1. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace curfew::wire {

struct MessageProperties {
    /// The queue to which the outcome goes, too; empty: nobody asked for it.
    std::string reply_to{};
    std::string correlation_id{};  ///< goes with the answer
    std::string content_type{};    ///< of the message
    /// As text, whatever they were.
    std::vector<std::pair<std::string, std::string>> headers{};

    bool operator==(const MessageProperties&) const = default;
};

/// Empty where nothing was said.
[[nodiscard]] std::string pack(const MessageProperties& properties);
/// Fields that are not known are passed over. None: these are no properties.
[[nodiscard]] std::optional<MessageProperties> unpack_properties(std::string_view bytes);

}  // namespace curfew::wire
