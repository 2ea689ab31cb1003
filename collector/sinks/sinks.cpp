#include "collector/sinks/sinks.h"

#include <utility>

namespace curfew {

template <typename Visit>
void Sinks::each(Visit&& visit) const {
    visit(*parts_.output);
    if (parts_.dead_letters) visit(*parts_.dead_letters);
    for (const auto& sink : parts_.beside) visit(*sink);
}

std::size_t Sinks::bytes_of(const OutcomeRecord& outcome) {
    return outcome.result.size() + outcome.message.size() + (outcome.work ? outcome.work->errors.size() : 0);
}

/// What those beside have does not count: one that is new would make all of it be done again. Where
/// one of the others does not know what it has had, nobody does.
std::vector<Settled::Memory> Sinks::take_memories() {
    for (const auto& sink : parts_.beside) (void)sink->take_memory();
    std::vector<Settled::Memory> memories;
    for (Sink* sink : {parts_.output.get(), parts_.dead_letters.get()}) {
        if (sink == nullptr) continue;
        std::optional<Settled::Memory> memory = sink->take_memory();
        if (!memory) return {};
        memories.push_back(std::move(*memory));
    }
    return memories;
}

void Sinks::put(OutcomeRecord&& outcome) {
    if (outcome.unsaid) return unsaid_.emplace_back(outcome.sync, outcome.seq), void();
    if (parts_.beside.empty()) return hand_on(std::move(outcome));
    for (const auto& sink : parts_.beside) sink->put(outcome);
    held_bytes_ += bytes_of(outcome);
    held_.push_back({std::move(outcome), parts_.beside.size()});
    by_seq_[held_.back().outcome.seq] = &held_.back();
}

bool Sinks::is_letter(const OutcomeRecord& outcome) const {
    return parts_.dead_letters != nullptr && outcome.outcome != Outcome::completed;
}

void Sinks::hand_on(OutcomeRecord&& outcome) {
    if (is_letter(outcome) && parts_.output->answer(outcome)) {
        const auto [at, is_new] = unanswered_.try_emplace(outcome.seq);
        held_bytes_ += bytes_of(outcome) - (is_new ? 0 : bytes_of(at->second));
        at->second = std::move(outcome);
    } else {
        give(std::move(outcome));
    }
}

/// A task that is decided anew may have another outcome: the one that is there counts.
void Sinks::give(OutcomeRecord&& outcome) {
    Sink *sink = parts_.output.get(), *other = parts_.dead_letters.get();
    if (is_letter(outcome)) std::swap(sink, other);
    const bool is_there = other != nullptr && other->has(outcome.epoch, outcome.seq);
    (is_there ? other : sink)->put(outcome);
}

void Sinks::flush(Instant now, Sink::Written& written) {
    for (const auto& sink : parts_.beside) {
        sink->flush(now, had_);
        for (const auto& [sync, seq] : std::exchange(had_, {})) {
            const auto at = by_seq_.find(seq);
            // Else it was put for a broker that is no more
            if (at != by_seq_.end() && at->second->outcome.sync == sync) --at->second->missing;
        }
    }
    for (; !held_.empty() && held_.front().missing == 0; held_.pop_front()) {
        OutcomeRecord& outcome = held_.front().outcome;
        by_seq_.erase(outcome.seq);
        held_bytes_ -= bytes_of(outcome);
        hand_on(std::move(outcome));
    }
    hand_on_what_is_answered();
    written.insert(written.end(), unsaid_.begin(), unsaid_.end());
    unsaid_.clear();
    parts_.output->flush(now, written);
    if (parts_.dead_letters) parts_.dead_letters->flush(now, written);
    waits_since_ = waits_for().empty() ? kNever : std::min(waits_since_, now);
}

void Sinks::hand_on_what_is_answered() {
    parts_.output->take_answered(had_);
    for (const auto& [sync, seq] : std::exchange(had_, {})) {
        const auto at = unanswered_.find(seq);
        if (at == unanswered_.end() || at->second.sync != sync) continue;
        held_bytes_ -= bytes_of(at->second);
        give(std::move(at->second));
        unanswered_.erase(at);
    }
}

void Sinks::forget_waiting() {
    unsaid_.clear();
    held_.clear();
    by_seq_.clear();
    unanswered_.clear();
    held_bytes_ = 0;
    each([](Sink& sink) { sink.forget_waiting(); });
}

void Sinks::wait_for(Poller& poller) {
    each([&](Sink& sink) { sink.wait_for(poller); });
}

bool Sinks::close(Instant now, Instant until) {
    bool closed = true;
    each([&](Sink& sink) { closed = sink.close(now, until) && closed; });
    return closed;
}

Instant Sinks::next_deadline() const {
    Instant next = kNever;
    each([&](const Sink& sink) { next = std::min(next, sink.next_deadline()); });
    return next;
}

/// What is held waits in those beside, too.
std::size_t Sinks::waiting() const {
    std::size_t beside = held_.size();
    for (const auto& sink : parts_.beside) beside = std::max(beside, sink->waiting());
    return beside + unanswered_.size() + parts_.output->waiting() +
           (parts_.dead_letters ? parts_.dead_letters->waiting() : 0);
}

std::size_t Sinks::waiting_bytes() const {
    std::size_t bytes = held_bytes_;
    each([&](const Sink& sink) { bytes += sink.waiting_bytes(); });
    return bytes;
}

std::uint64_t Sinks::uncertain() const {
    std::uint64_t count = parts_.output->uncertain() + (parts_.dead_letters ? parts_.dead_letters->uncertain() : 0);
    for (const auto& sink : parts_.beside) count = std::max(count, sink->uncertain());
    return count;
}

std::string_view Sinks::waits_for() const {
    std::string_view what;
    each([&](const Sink& sink) { what = what.empty() ? sink.waits_for() : what; });
    return what;
}

std::optional<Duration> Sinks::waited(Instant now) const {
    return waits_since_ == kNever ? std::nullopt : std::optional(now - waits_since_);
}

}  // namespace curfew
