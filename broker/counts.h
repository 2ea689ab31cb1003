// What the broker's core has met that was not as it should be, and how its workers went; the
// monitor shows all that is counted, and the log says the last of it in words. The dispatcher owns
// the one instance; its parts write into it. Pure.
#pragma once

#include <cstdint>
#include <string>

namespace curfew {

struct BrokerCounts {
    std::uint64_t refused = 0;  ///< frames of old sessions or incarnations
    std::uint64_t malformed = 0;
    std::uint64_t surprises = 0;  ///< records that a peer in its right mind would not have sent
    std::uint64_t workers_silent = 0, workers_died = 0, workers_left = 0;
    std::uint64_t workers_never_ready = 0;  ///< sessions that ended before they were
    std::uint64_t hellos_malformed = 0;     ///< of the malformed: see Admissions::wrong_hello()
    /// No room for a session, or refused before: the worker says it again.
    std::uint64_t hellos_put_off = 0;
    std::uint64_t resends_asked = 0;
    /// Sessions that ended since their records could not be read, or named what they were not
    /// given.
    std::uint64_t workers_refused = 0;
    std::uint64_t forced = 0;  ///< tasks decided as expired while attempts of theirs had no end
    /// What a peer did wrong last, and which. Empty: nothing since it was taken for the log.
    std::string complaint;
};

}  // namespace curfew
