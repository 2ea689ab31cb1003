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
#include <cstdint>
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
        note(slot, id);
        return slot;
    }
    /// Its work has ended. Returns what it was; number 0: it was free.
    SlotState end(Slot slot) {
        const SlotState was = std::exchange(slots_[slot], {});
        if (was.attempt.number == 0) return was;
        note(slot, {});
        free_.push_back(slot);
        return was;
    }
    /// Asks its work to stop, once.
    void stop(Instant now, Slot slot) {
        if (std::exchange(slots_[slot].stopping, true)) return;
        slots_[slot].stop_at = now;
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
    }
    /// Takes those out of service whose work did not end within `patience` of its stop, and calls
    /// stuck(slot) for each.
    template <typename Stuck>
    void take_out(Instant now, Duration patience, Stuck&& stuck) {
        for (SlotState& slot : slots_) {
            if (!slot.stopping || slot.out_of_service || now < slot.stop_at + patience) continue;
            slot.out_of_service = true;
            stuck(std::as_const(slot));
        }
    }
    /// Notes what is in a slot in the memory for who comes after a crash.
    void note(Slot slot, AttemptId id) {
        if (slot < running_.size()) running_[slot] = id;
    }

    // ---- looking
    [[nodiscard]] const std::vector<SlotState>& all() const { return slots_; }
    [[nodiscard]] Slot count() const { return static_cast<Slot>(slots_.size()); }
    [[nodiscard]] std::size_t busy() const { return slots_.size() - free_.size(); }
    [[nodiscard]] std::size_t out_of_service() const {
        return static_cast<std::size_t>(std::ranges::count_if(slots_, &SlotState::out_of_service));
    }
    /// Those that do work of this session, or would start it now; `mine`: those that do.
    struct Usable {
        std::uint32_t usable = 0, mine = 0;
    };
    [[nodiscard]] Usable usable(Session session) const {
        Usable found;
        for (const SlotState& slot : slots_) {
            const bool busy = slot.attempt.number != 0;
            if (slot.out_of_service || (busy && slot.attempt.session != session)) continue;
            ++found.usable;
            found.mine += busy ? 1U : 0U;
        }
        return found;
    }
    /// Work is there that can still end.
    [[nodiscard]] bool stopping() const {
        return std::ranges::any_of(
            slots_, [](const SlotState& slot) { return slot.attempt.number != 0 && !slot.out_of_service; });
    }
    /// When the next one is to be taken out of service.
    [[nodiscard]] Instant next_deadline(Duration patience) const {
        Instant next = kNever;
        for (const SlotState& slot : slots_) {
            if (slot.stopping && !slot.out_of_service) next = std::min(next, slot.stop_at + patience);
        }
        return next;
    }
    /// When the first of those that are out of service is past its deadline and grace.
    [[nodiscard]] Instant overdue_at(Duration grace) const {
        Instant first = kNever;
        for (const SlotState& slot : slots_) {
            if (slot.out_of_service && slot.deadline_at != kNever) first = std::min(first, slot.deadline_at + grace);
        }
        return first;
    }

private:
    Handler& handler_;
    std::span<AttemptId> running_;
    std::vector<SlotState> slots_;
    std::vector<Slot> free_;
};

}  // namespace curfew
