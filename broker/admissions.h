// Which workers are let in: a hello costs nothing to make up, a session has two sockets. Pure.
// Memory: kMostRefused names.
#pragma once

#include <cstddef>
#include <deque>
#include <string>
#include <string_view>

#include "broker/ledger.h"
#include "broker/roster.h"
#include "common/wire/wire.h"
#include "common/words/vocabulary.h"

namespace curfew {

class Admissions {
public:
    /// Most sessions that are not ready yet, or leave and were never sent a task.
    static constexpr std::size_t kMostNewcomers = 256;

    Admissions(const Ledger& ledger, const Roster& roster, Duration heartbeat)
        : ledger_(ledger), roster_(roster), heartbeat_(heartbeat) {}

    /// Whether a worker of this name may begin a session now.
    [[nodiscard]] bool admits(Instant now, std::string_view name) const;
    /// A session got no sockets: what one lacked, the next would lack too.
    void out_of_sockets(Instant now) { room_at_ = now + heartbeat_ / 4; }
    /// It is of no use, and is not to come back at once; each time that it goes wrong again, after
    /// twice the time.
    void refuse(Instant now, const std::string& name);

    /// The last malformed hello: whose, as far as a name may be long, and what was wrong.
    struct WrongHello {
        std::string name;
        std::string_view what;
    };
    /// False, and noted, if a hello cannot be what a worker of ours says.
    [[nodiscard]] bool is_well_formed(const wire::Hello& hello);
    [[nodiscard]] const WrongHello& wrong_hello() const { return wrong_hello_; }

private:
    struct Refusal {
        std::string name;
        Instant until;
        Duration pause;
    };
    static constexpr std::size_t kMostRefused = 64;
    static constexpr int kFirstPause = 2, kMostPause = 64;  // heartbeats
    // Pauses without a fault, and the next is short again
    static constexpr int kForgiven = 2;

    const Ledger& ledger_;
    const Roster& roster_;
    const Duration heartbeat_;
    Instant room_at_{};            // before this no session begins
    std::deque<Refusal> refused_;  // workers whose hellos are put off
    WrongHello wrong_hello_;
};

}  // namespace curfew
