#include "collector/settled.h"

#include <utility>

namespace curfew {

void Settled::Memory::add(std::optional<Memory> other) {
    if (!other) return;
    if (epoch == 0) epoch = other->epoch;
    if (other->epoch != epoch) return;
    settled.insert(settled.end(), other->settled.begin(), other->settled.end());
    not_completed.merge(other->not_completed);
}

void Settled::remember(Memory memory) {
    remembered_ = true;
    all_.insert(memory.settled);
    not_completed_ = std::move(memory.not_completed);
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
        not_completed_.clear();
    }
    unheard_.clear();
}

}  // namespace curfew
