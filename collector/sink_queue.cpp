#include "collector/sink_queue.h"

#include <algorithm>
#include <utility>

namespace curfew {
namespace {

/// What an outcome keeps while it waits.
std::uint64_t bytes_of(const OutcomeRecord& outcome) {
    return outcome.result.size() + outcome.message.size() + (outcome.work ? outcome.work->errors.size() : 0);
}

}  // namespace

void SinkQueue::put_in(Seq seq, const IntervalSet& settled) {
    if (!keep_order_) return;
    held_bytes_ += bytes_of(held_[seq]);
    release(settled);
}

void SinkQueue::release(const IntervalSet& settled) {
    next_in_order_ = settled.next_missing(next_in_order_);
    for (auto at = held_.find(next_in_order_); at != held_.end(); at = held_.find(next_in_order_)) {
        held_bytes_ -= std::min(held_bytes_, bytes_of(at->second));
        for_sink_.push_back(std::move(at->second));
        held_.erase(at);
        next_in_order_ = settled.next_missing(next_in_order_ + 1);
    }
}

OutcomeRecord* SinkQueue::next() {
    if (std::exchange(first_is_handed_out_, false)) for_sink_.pop_front();
    if (for_sink_.empty()) return nullptr;
    first_is_handed_out_ = true;
    return &for_sink_.front();
}

std::optional<std::uint64_t> SinkQueue::take_backlog(bool complete) {
    constexpr std::uint64_t kLeast = 1 << 20;
    const std::uint64_t bytes = waiting_bytes();
    const std::uint64_t change = bytes > told_backlog_ ? bytes - told_backlog_ : told_backlog_ - bytes;
    const bool empty_again = bytes == 0 && told_backlog_ > 0;
    const bool first = backlog_due_ && complete;
    if (backlog_due_ ? !first : !empty_again && change < std::max(kLeast, told_backlog_ / 8)) return std::nullopt;
    backlog_due_ = false;
    return told_backlog_ = bytes;
}

void SinkQueue::clear() {
    for_sink_.clear();
    first_is_handed_out_ = false;
    held_.clear();
    held_bytes_ = told_backlog_ = 0;
    backlog_due_ = true;
    next_in_order_ = 1;
}

}  // namespace curfew
