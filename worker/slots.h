// The worker's slots: what runs in each, which are free, which are being stopped, and which are out
// of service because their work did not stop. A slot whose work is still being stopped is not used
// before that has ended, whichever session started it. Pure but for the handler, which is told to
// stop.
//
//     free --take--> busy --stop--> stopping --did not end within patience--> out of service
//       ^             |                |                                           |
//       +-------------+-----its work has ended-------------------------------------+
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <span>
#include <utility>
#include <vector>

#include "common/words/mutant.h"
#include "common/words/vocabulary.h"
#include "worker/handlers/handler.h"

namespace curfew {

/// Where a slot is. `stopping` outlives its session.
struct SlotState {
    AttemptId attempt;  ///< number 0: free
    bool stopping = false;
    bool out_of_service = false;  ///< its work has not ended within the patience of its stop
    Instant started_at{};
    Instant stop_at{};  ///< when it was asked to stop
    Instant deadline_at = kNever;
};

/// What is asked in each turn costs the same however many slots there are.
class Slots {
public:
    /// `running`: see WorkerCore.
    Slots(Slot count, Handler& handler, std::span<AttemptId> running)
        : handler_(handler), running_(running), slots_(std::max<Slot>(1, count)) {
        for (Slot slot = this->count(); slot-- > 0;) free_.push_back(slot);
    }

    [[nodiscard]] bool has_free() const { return !free_.empty(); }
    [[nodiscard]] Slot take(Instant now, AttemptId id, Instant deadline_at) {
        const Slot slot = free_.back();
        free_.pop_back();
        slots_[slot] = {.attempt = id, .started_at = now, .deadline_at = deadline_at};
        ++mine_;
        note(slot, id);
        return slot;
    }
    /// Its work has ended. Returns what it was; number 0: it was free.
    SlotState end(Slot slot) {
        const SlotState was = std::exchange(slots_[slot], {});
        if (was.attempt.number == 0) return was;
        if (was.out_of_service) {
            std::erase(out_, slot);
        } else {
            --count_of(was);
        }
        note(slot, {});
        free_.push_back(slot);
        return was;
    }
    /// Asks its work to stop, once.
    void stop(Instant now, Slot slot) {
        if (std::exchange(slots_[slot].stopping, true)) return;
        slots_[slot].stop_at = now;
        stops_.push_back({slot, now});
        handler_.stop(now, slot);
        if (mutated(Mutant::slot_freed_early)) free_.push_back(slot);
    }
    void stop_all(Instant now) {
        for (Slot slot = 0; slot < slots_.size(); ++slot) {
            if (slots_[slot].attempt.number != 0) stop(now, slot);
        }
    }
    /// The session is over: another broker may use the same numbers again.
    void disown_all() {
        for (SlotState& slot : slots_) slot.attempt.session = 0;
        others_ += std::exchange(mine_, 0);
    }
    /// Takes those out of service whose work did not end within `patience` of its stop, and calls
    /// stuck(slot) for each.
    template <typename Stuck>
    void take_out(Instant now, Duration patience, Stuck&& stuck) {
        for (; !stops_.empty() && now >= stops_.front().at + patience; stops_.pop_front()) {
            if (!is_under_way(stops_.front())) continue;
            SlotState& slot = slots_[stops_.front().slot];
            slot.out_of_service = true;
            --count_of(slot);
            out_.push_back(stops_.front().slot);
            stuck(std::as_const(slot));
        }
        while (!stops_.empty() && !is_under_way(stops_.front())) stops_.pop_front();
    }
    /// Notes what is in a slot in the memory for who comes after a crash.
    void note(Slot slot, AttemptId id) {
        if (slot < running_.size()) running_[slot] = id;
    }

    // ---- looking
    [[nodiscard]] const std::vector<SlotState>& all() const { return slots_; }
    [[nodiscard]] Slot count() const { return static_cast<Slot>(slots_.size()); }
    [[nodiscard]] std::size_t busy() const { return slots_.size() - free_.size(); }
    [[nodiscard]] std::size_t out_of_service() const { return out_.size(); }
    /// Those that do work of the session, or would start it now; `mine`: those that do.
    struct Usable {
        std::uint32_t usable = 0, mine = 0;
    };
    /// `open`: how many may be busy, of all (Handler::open_slots()).
    [[nodiscard]] Usable usable(Slot open) const {
        const Slot not_for_it = static_cast<Slot>(out_.size()) + others_;
        const Slot most = std::min(open, count());
        return {most - std::min(most, not_for_it), mine_};
    }
    /// Work is there that can still end.
    [[nodiscard]] bool stopping() const { return mine_ + others_ > 0; }
    /// When the next one is to be taken out of service, or before.
    [[nodiscard]] Instant next_deadline(Duration patience) const {
        return stops_.empty() ? kNever : stops_.front().at + patience;
    }
    /// When the first of those that are out of service is past its deadline and grace.
    [[nodiscard]] Instant overdue_at(Duration grace) const {
        Instant first = kNever;
        for (const Slot slot : out_) {
            if (slots_[slot].deadline_at != kNever) first = std::min(first, slots_[slot].deadline_at + grace);
        }
        return first;
    }

private:
    struct Stop {
        Slot slot = 0;
        Instant at{};
    };
    /// The work that was asked to stop then is still in the slot.
    [[nodiscard]] bool is_under_way(const Stop& stop) const {
        const SlotState& slot = slots_[stop.slot];
        return slot.stopping && !slot.out_of_service && slot.stop_at == stop.at;
    }
    /// Where a busy slot that is in service is counted.
    [[nodiscard]] std::uint32_t& count_of(const SlotState& slot) { return slot.attempt.session != 0 ? mine_ : others_; }

    Handler& handler_;
    std::span<AttemptId> running_;
    std::vector<SlotState> slots_;
    std::vector<Slot> free_;
    std::vector<Slot> out_;                // of service
    std::deque<Stop> stops_;               // in their order; some have had their end
    std::uint32_t mine_ = 0, others_ = 0;  // busy and in service: of the session, of those before
};

}  // namespace curfew
