// Dead letters for a person: a row of a table, a whole letter, and what many have in common.
// Nothing of what they hold can touch the terminal. Pure.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "monitor/letter.h"
#include "monitor/table.h"

namespace curfew {

[[nodiscard]] std::vector<Table::Column> letter_columns();
/// For letter_columns(). It keeps the beginnings alone of what the letter holds.
[[nodiscard]] Table::Row letter_row(const Letter& letter, bool utf8);

/// Its lines: each attempt that is known, the reasons, the message. The beginning of one that is
/// long.
[[nodiscard]] std::string letter_text(const Letter& letter, bool utf8);

/// Where a message stood that was refused for its size: `line 3 of the input, byte offset 17`.
[[nodiscard]] std::string place_of(const LetterRefusal& refused);

/// Counts letters by outcome and by reason. Of reasons only so many are told apart.
class LetterCounts {
public:
    static constexpr std::size_t kMostReasons = 1000;

    void add(const Letter& letter);
    [[nodiscard]] std::uint64_t all() const { return all_; }
    /// `17 letters: 12 failed, 5 expired; most often: exit code 3 (12)`.
    [[nodiscard]] std::string line(int width, bool utf8) const;

private:
    std::uint64_t all_ = 0, other_reasons_ = 0;
    std::array<std::uint64_t, kOutcomes + 1> outcomes_{};
    std::map<std::string, std::uint64_t> reasons_;
};

}  // namespace curfew
