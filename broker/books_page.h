// The books as a page of memory that outlives the broker, however it dies: the file `books` in the
// run directory, 34 numbers of 64 bits, little-endian, written once a turn. Launch reads it for its
// progress line and for the last account.
#pragma once

#include <cstdint>
#include <string>

#include "common/process/mapped_file.h"

namespace curfew {

struct BooksPage {
    enum Field : std::size_t {
        magic,
        accepted,
        completed,
        failed,
        expired,
        cancelled,
        tasks_in_flight,
        started,
        won,
        late,
        attempts_cancelled,
        attempts_failed,
        attempts_expired,
        lost,
        attempts_in_flight,
        state,
        input_total,
        input_read,
        refused,
        pid,
        left,
        intake_ended,  ///< 1: no message is accepted any more
        workers_ready,
        collector_synced,  ///< 1: there is one
        /// Of the source: a Rest::Kind; from a drain on known for good, before that as far as it
        /// was read.
        rest,
        rest_message,   ///< where to go on: the number of the message, from 1
        rest_byte,      ///< and its offset
        rest_messages,  ///< from there to the end; kUnknown: nobody can say
        rest_bytes,     ///< the same
        cut_short,      ///< tasks, of those cancelled, for which a drain had no more time
        /// The number of the oldest message whose task is in flight, from 1; 0: none is.
        first_in_flight,
        /// In earlier lives of the broker, in the same epoch; and of those, as far as it is known,
        /// what did not complete.
        settled_before,
        failures_before,
        halted,  ///< tasks that had not completed when --halt ended the intake; 0: it has not
        fields = 34
    };
    enum State : std::uint64_t { running = 1, drained = 2, stopped = 3 };
    static constexpr std::uint64_t kUnknown = UINT64_MAX;
    static constexpr std::uint64_t kMagic = 0x3142574546525543;  // "CURFEWB1"

    /// Throws std::system_error; Unusable where another broker has it.
    explicit BooksPage(const std::string& path);

    std::uint64_t& operator[](Field field) { return page_[field]; }

private:
    MappedFile file_;
    std::uint64_t* page_;
};

}  // namespace curfew
