#include "collector/sinks/unconfirmed.h"

#include <algorithm>
#include <iterator>
#include <utility>

namespace curfew {

bool Unconfirmed::may_send() const {
    if (waiting_.empty() || in_air_.size() >= kMostInAir || is_blocked_ || renews_by_ != kNever) return false;
    return in_air_.empty() || (!waiting_.front().goes_alone && !in_air_.begin()->second.goes_alone);
}

const Outgoing* Unconfirmed::next(Instant now) {
    for (; !later_.empty() && later_.begin()->first <= now; later_.erase(later_.begin()))
        waiting_.push_back(std::move(later_.begin()->second));
    if (now >= unparks_at_) {
        waiting_.push_front(std::move(parked_.front()));
        parked_.pop_front();
        unparks_at_ = parked_.empty() ? kNever : now + kRefusedAgain;
    }
    return may_send() && now >= not_before_ ? &waiting_.front() : nullptr;
}

Instant Unconfirmed::next_deadline() const {
    const Instant again = later_.empty() ? kNever : later_.begin()->first;
    const Instant renews = renews_by_ == kNever ? kNever
                           : in_air_.empty()    ? Instant{}
                           : is_blocked_        ? kNever
                                                : renews_by_;
    return std::min({may_send() ? not_before_ : kNever, again, unparks_at_, renews});
}

const Outgoing& Unconfirmed::sent(Instant now) {
    waiting_.front().sent_at = now;
    const auto at = in_air_.emplace(++last_, std::move(waiting_.front())).first;
    waiting_.pop_front();
    return at->second;
}

void Unconfirmed::written(Instant now) {
    if (!in_air_.empty()) in_air_.rbegin()->second.sent_at = now;
}

void Unconfirmed::confirmed(Instant now, std::uint64_t number, bool multiple, bool taken) {
    const auto first = multiple ? in_air_.begin() : in_air_.find(number);
    const auto end_of_all = in_air_.upper_bound(number);
    if (first == in_air_.end() || first->first > number) return;
    std::vector<Outgoing> again;
    for (auto at = first; at != end_of_all; ++at) {
        if (taken)
            take(now, std::move(at->second), again);
        else
            refuse(now, std::move(at->second), again);
    }
    in_air_.erase(first, end_of_all);
    waiting_.insert(waiting_.begin(), std::make_move_iterator(again.begin()), std::make_move_iterator(again.end()));
}

/// The server has it, if a queue has.
void Unconfirmed::take(Instant now, Outgoing&& outgoing, std::vector<Outgoing>& again) {
    const bool returned = std::exchange(outgoing.is_returned, false);
    if (!returned || outgoing.is_answer) {
        unheard_ += returned ? 1 : 0;
        if (!returned && !outgoing.is_answer) returned_to_.clear();
        done_.push_back(outgoing.handle);
        return;
    }
    returned_to_ = outgoing.exchange + "/" + outgoing.key;
    not_before_ = now + kReturnedAgain;
    again.push_back(std::move(outgoing));
}

/// RabbitMQ refuses all that follows on a channel whose first publish to a queue has met it without
/// a leader; on another it is taken at once.
void Unconfirmed::refuse(Instant now, Outgoing&& outgoing, std::vector<Outgoing>& again) {
    outgoing.is_returned = false;
    if (!outgoing.is_answer) {
        renews_by_ = std::min(renews_by_, now + kDrain);
        again.push_back(std::move(outgoing));
        return;
    }
    if (++outgoing.nacks == 1) outgoing.nacked_on = channel_;
    if (outgoing.nacks >= kMostNacks) {
        if (outgoing.nacked_on != channel_ || now < newer_after_)
            return leave(outgoing, "the server does not take it (nack)");
        newer_after_ = now + kNewerAgain;
        renews_by_ = std::min(renews_by_, now + kDrain);
    }
    later_.emplace(now + kReturnedAgain, std::move(outgoing));
}

void Unconfirmed::leave(const Outgoing& answer, const std::string& why) {
    ++unheard_;
    refused_answer_ = "task " + answer.task + ", to '" + answer.key + "': " + why;
    done_.push_back(answer.handle);
}

void Unconfirmed::closed(Instant now, const std::string& why) {
    was_closed_ = true;
    if (in_air_.size() != 1) return;
    Outgoing& alone = in_air_.begin()->second;
    // The first time it was not alone, or may have been so by chance
    if (!alone.goes_alone || ++alone.closes < kMostCloses) return;
    if (alone.is_answer) {
        leave(alone, why);
    } else {
        alone.refusal = why;
        unparks_at_ = std::min(unparks_at_, now + kRefusedAgain);
        parked_.push_back(std::move(alone));
    }
    in_air_.clear();
}

std::string Unconfirmed::refused() const {
    const Outgoing* const tried = !in_air_.empty() ? &in_air_.begin()->second : nullptr;
    const Outgoing* const first = !waiting_.empty() ? &waiting_.front() : nullptr;
    const Outgoing* const parked = !parked_.empty() ? &parked_.front() : nullptr;
    for (const Outgoing* one : {parked, first, tried}) {
        if (one != nullptr && !one->refusal.empty()) return "task " + one->task + ": " + one->refusal;
    }
    return {};
}

void Unconfirmed::returned(const amqp::Returned& returned) {
    for (auto& [number, outgoing] : in_air_) {
        if (outgoing.is_returned || outgoing.task != returned.task || outgoing.key != returned.key ||
            outgoing.exchange != returned.exchange)
            continue;
        outgoing.is_returned = true;
        return;
    }
}

void Unconfirmed::block(Instant now, bool blocked) {
    if (is_blocked_ && !blocked) {
        unblocked_at_ = now;
        if (renews_by_ != kNever) renews_by_ = now + kDrain;
    }
    is_blocked_ = blocked;
}

Instant Unconfirmed::overdue_at() const {
    if (in_air_.empty() || is_blocked_) return kNever;
    return std::max(in_air_.begin()->second.sent_at, unblocked_at_) + kPatience;
}

void Unconfirmed::begin() {
    const bool was_closed = std::exchange(was_closed_, false);
    for (auto at = in_air_.rbegin(); at != in_air_.rend(); ++at) {
        at->second.is_returned = false;
        at->second.goes_alone |= was_closed;
        waiting_.push_front(std::move(at->second));
    }
    in_air_.clear();
    last_ = 0;
    ++channel_;
    not_before_ = {};
    renews_by_ = kNever;
    is_blocked_ = false;
}

}  // namespace curfew
