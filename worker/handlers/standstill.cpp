// Standstill: when to look, when to lose patience. See the header.
#include "worker/handlers/standstill.h"

#include <algorithm>

namespace curfew {
namespace {

using namespace std::chrono_literals;

/// When an answer is overdue. It takes a few milliseconds, so who answers in time is hardly ever
/// looked at.
constexpr Duration kLookEvery = 100ms;
/// When nothing is due but the end of the work, some time.
constexpr Duration kLookAtRest = 1s;
constexpr Duration kPatience = 1s;
/// What the supervisor itself gets for its kill. The worker counts a slot as out of service a
/// second after grace, and then says of the work that it cannot be killed: before that is said, it
/// has been tried.
constexpr Duration kKillTime = 500ms;
constexpr unsigned kMostStops = 100;

Instant later(Instant at, Duration by) {
    return at >= kNever - by ? kNever : at + by;
}

}  // namespace

void Standstill::work_given(Instant now, Instant deadline_at, Duration grace) {
    *this = {};
    works_ = true;
    given_at_ = now;
    look_at_ = now + kLookEvery;
    end_by(deadline_at, grace);
}

void Standstill::work_runs() {
    given_at_ = kNever;
}

void Standstill::end_is_due(Instant now, Duration grace) {
    look_at_ = std::min(look_at_, now + kLookEvery);
    end_by(now, grace);
}

void Standstill::end_by(Instant at, Duration grace) {
    due_at_ = std::min(due_at_, at);
    over_at_ = later(due_at_, grace + kKillTime);
}

void Standstill::idle() {
    *this = {};
}

Standstill::Act Standstill::seen(Instant now, bool stopped) {
    if (!stopped) {
        stopped_since_ = kNever;
        const Instant overdue_at = later(std::max(now, std::min(given_at_, due_at_)), kLookEvery);
        look_at_ = works_ ? std::min(overdue_at, now + kLookAtRest) : overdue_at;
        return Act::none;
    }
    look_at_ = now + kLookEvery;
    ++stops_;
    if (stopped_since_ == kNever) stopped_since_ = now;
    const bool too_long = now >= stopped_since_ + kPatience || (now > stopped_since_ && now >= over_at_);
    return too_long || stops_ > kMostStops ? Act::kill : Act::go_on;
}

}  // namespace curfew
