// A dead letter: a task that did not complete, as a line of JSON outcomes says it
// (docs/protocol.md). Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/words/vocabulary.h"

namespace curfew {

/// An attempt that did not decide its task.
struct LetterPast {
    std::uint64_t attempt = 0;  ///< ordinal
    std::string worker, end, error;
};

/// Where a message stood that was refused for its size, in its source.
struct LetterRefusal {
    std::uint64_t number = 0;  ///< of the message, from 1
    std::optional<std::uint64_t> byte;
    std::uint64_t size = 0;  ///< bytes
};

struct Letter {
    Seq seq = 0;
    Outcome outcome = Outcome::failed;
    Epoch epoch = 0;  ///< 0: the line does not say it
    std::string id;   ///< the sender's
    std::string error;
    std::string worker, pool;   ///< of the attempt that rejected it; empty: none did
    std::uint64_t attempt = 0;  ///< its ordinal
    std::uint64_t attempts = 0, latency_us = 0;
    std::vector<LetterPast> history;
    std::string message;
    std::optional<LetterRefusal> refused;

    /// The letter has only the beginning of its message.
    [[nodiscard]] bool is_cut() const { return refused && refused->size > message.size(); }
};

enum class LineKind : std::uint8_t {
    letter,
    completed,  ///< an outcome, and no letter
    foreign,    ///< no outcome
};

/// Reads a line without its newline. `letter` is whole only where it is one. What it keeps is at
/// most as large as the line, whatever stands there.
[[nodiscard]] LineKind read_letter(std::string_view line, Letter& letter);

}  // namespace curfew
