#include "collector/sinks/unconfirmed.h"

#include <algorithm>
#include <utility>

namespace curfew {

const Outgoing* Unconfirmed::next(Instant now) const {
    return may_send() && now >= not_before_ ? &waiting_.front() : nullptr;
}

void Unconfirmed::sent(Instant now) {
    waiting_.front().sent_at = now;
    in_air_.emplace(++last_, std::move(waiting_.front()));
    waiting_.pop_front();
}

void Unconfirmed::confirmed(Instant now, std::uint64_t number, bool multiple, bool taken) {
    auto at = multiple ? in_air_.begin() : in_air_.find(number);
    while (at != in_air_.end() && at->first <= number) {
        Outgoing outgoing = std::move(at->second);
        at = in_air_.erase(at);
        end(now, std::move(outgoing), taken);
    }
}

void Unconfirmed::end(Instant now, Outgoing&& outgoing, bool taken) {
    const bool returned = std::exchange(outgoing.is_returned, false);
    if (taken && (!returned || outgoing.is_answer)) {
        unheard_ += returned ? 1 : 0;
        if (!returned && !outgoing.is_answer) returned_to_.clear();
        done_.push_back(outgoing.handle);
        return;
    }
    if (returned) returned_to_ = outgoing.exchange + "/" + outgoing.key;
    not_before_ = now + kReturnedAgain;
    waiting_.push_front(std::move(outgoing));
}

void Unconfirmed::returned(const amqp::Returned& returned) {
    for (auto& [number, outgoing] : in_air_) {
        if (outgoing.task != returned.task || outgoing.key != returned.key || outgoing.exchange != returned.exchange)
            continue;
        outgoing.is_returned = true;
        return;
    }
}

void Unconfirmed::block(Instant now, bool blocked) {
    if (is_blocked_ && !blocked) unblocked_at_ = now;
    is_blocked_ = blocked;
}

Instant Unconfirmed::overdue_at() const {
    if (in_air_.empty() || is_blocked_) return kNever;
    return std::max(in_air_.begin()->second.sent_at, unblocked_at_) + kPatience;
}

void Unconfirmed::begin() {
    for (auto at = in_air_.rbegin(); at != in_air_.rend(); ++at) {
        at->second.is_returned = false;
        waiting_.push_front(std::move(at->second));
    }
    in_air_.clear();
    last_ = 0;
    not_before_ = {};
    is_blocked_ = false;
}

}  // namespace curfew
