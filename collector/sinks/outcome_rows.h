// Outcomes on their way into a table: rows whose texts stand one behind the other. Used again and
// again, so that an outcome costs a copy of its bytes and no allocation.
//
// Not thread safe; given by one thread to another as a whole.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "collector/outcome_record.h"

namespace curfew {

class OutcomeRows {
public:
    /// The columns that hold bytes, in their order.
    enum Text : std::uint8_t { id, result, error, worker, pool, history, refused, message, kTexts };

    struct Row {
        Epoch epoch = 0;
        Seq seq = 0;
        std::uint64_t sync = 0;  ///< OutcomeRecord's
        std::uint64_t latency_us = 0;
        std::uint32_t attempt = 0, attempts = 0;
        Outcome outcome = Outcome::completed;
        std::size_t begin = 0;                              ///< of its first text
        std::array<std::uint32_t, kTexts> sizes{};          ///< in bytes
        static constexpr std::uint32_t kNull = UINT32_MAX;  ///< as a size: there is none
    };

    void put(const OutcomeRecord& outcome);
    [[nodiscard]] const std::vector<Row>& rows() const { return rows_; }
    /// Calls with_text(Text, std::optional<std::string_view>) for each, in their order.
    template <typename WithText>
    void each_text(const Row& row, WithText&& with_text) const {
        std::size_t at = row.begin;
        for (std::uint8_t text = 0; text < kTexts; ++text) {
            const std::uint32_t size = row.sizes[text];
            const bool is_there = size != Row::kNull;
            with_text(static_cast<Text>(text),
                      is_there ? std::optional(std::string_view(bytes_).substr(at, size)) : std::nullopt);
            if (is_there) at += size;
        }
    }
    [[nodiscard]] bool empty() const { return rows_.empty(); }
    [[nodiscard]] std::size_t bytes() const { return bytes_.size(); }
    /// The memory of a large one goes.
    void clear();

private:
    void add(Row& row, Text text, std::string_view bytes);

    std::vector<Row> rows_;
    std::string bytes_;
};

}  // namespace curfew
