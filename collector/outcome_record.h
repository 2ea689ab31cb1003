// What the sink is given: how one task finished. Made by the judge; sinks read it. Pure.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/tables/byte_store.h"
#include "common/words/vocabulary.h"

namespace curfew {

/// One line of a dead letter's history.
struct PastAttemptText {
    std::uint32_t ordinal = 0;
    std::string worker;
    End end = End::failed;
    std::string error;
};

/// How the work of an attempt went, as far as its worker tells (wire::WorkDetails).
struct ToldWork {
    std::string worker;
    std::uint32_t attempt = 0;  ///< its ordinal
    std::uint64_t began_us = 0;
    std::uint64_t run_us = 0;
    std::optional<int> exit_code;
    std::optional<int> signal;
    std::uint64_t stderr_bytes = 0;
    std::string errors;  ///< the last of those bytes
    [[nodiscard]] bool is_cut() const { return stderr_bytes > errors.size(); }
};

struct OutcomeRecord {
    Epoch epoch = 0;
    std::uint64_t sync = 0;  ///< the judge's, for Judge::written()
    Seq seq = 0;
    Outcome outcome = Outcome::completed;
    std::optional<std::string> id;
    /// What else the sender said (common/wire/message_properties.h); empty: nothing.
    std::string properties;
    Bytes result;        ///< completed only
    std::string error;   ///< the others: why
    std::string worker;  ///< of the attempt that decided; empty for a verdict
    std::string pool;
    std::uint32_t attempt = 0;  ///< ordinal of that attempt; 0 for a verdict
    /// Attempts that had been started when the decision was on its way.
    std::uint32_t attempts = 0;
    std::uint64_t latency_us = 0;
    std::vector<PastAttemptText> history;
    std::string message;  ///< what was asked; of what has completed where `work` is there
    /// Of the attempt that decided; of a verdict that of the last attempt that has ended by itself.
    /// Null: it was not told.
    std::unique_ptr<ToldWork> work;
    /// Not 0: a message that was refused. This and the next two as in wire::Verdict.
    std::uint64_t refused_number = 0;
    std::uint64_t refused_byte = 0;
    std::uint64_t refused_size = 0;
    bool unsaid = false;  ///< it settles, and no sink is given it
};

}  // namespace curfew
