#include "collector/settled.h"

#include <algorithm>
#include <utility>

namespace curfew {

void Settled::remember(std::vector<Memory> memories) {
    remembered_ = true;
    memories_ = std::move(memories);
}

bool Settled::recall(Epoch epoch) {
    bool found = false;
    for (Memory& memory : std::exchange(memories_, {})) {
        if (memory.epoch != epoch) continue;
        found = true;
        all_.insert(memory.settled);
        failures_ += memory.not_completed.size();
        not_completed_.merge(memory.not_completed);
    }
    return found;
}

void Settled::forget_above(Seq last) {
    const Intervals before = all_.intervals();
    all_.clear();
    for (const Interval& range : before) {
        if (range.first <= last) all_.insert({range.first, std::min(range.last, last)});
    }
    const std::size_t known = not_completed_.size();
    not_completed_.erase(not_completed_.upper_bound(last), not_completed_.end());
    failures_ -= known - not_completed_.size();
}

Intervals Settled::failed() const {
    IntervalSet found;
    for (const auto& [seq, outcome] : not_completed_) found.insert(seq);
    for (const Unheard& unheard : unheard_) {
        if (unheard.end.outcome != Outcome::completed) found.insert(unheard.end.seq);
    }
    return found.intervals();
}

void Settled::said(std::uint64_t batch, std::uint64_t acknowledged) {
    for (auto at = unheard_.rbegin(); at != unheard_.rend() && at->batch == kUnsaid; ++at) at->batch = batch;
    while (!unheard_.empty() && unheard_.front().batch <= acknowledged) unheard_.pop_front();
}

void Settled::begin_anew(bool same_epoch) {
    if (same_epoch && remembered_) {
        // The sink has them, whoever has heard of it
        for (const Unheard& unheard : unheard_) {
            if (unheard.end.outcome != Outcome::completed) not_completed_[unheard.end.seq] = unheard.end.outcome;
        }
    } else {
        all_.clear();
        failures_ = 0;
        not_completed_.clear();
    }
    unheard_.clear();
}

}  // namespace curfew
