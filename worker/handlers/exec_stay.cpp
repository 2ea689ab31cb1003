// The `exec` handler's part for a command that stays (coprocess): what its answers mean, and what
// happens when it ends. See exec.h.
#include <algorithm>
#include <iterator>
#include <utility>

#include "common/look/json_object.h"
#include "worker/handlers/answers.h"
#include "worker/handlers/exec.h"
#include "worker/handlers/exec_end.h"

namespace curfew {
namespace {

/// Of an answer that is none, so much is kept.
constexpr std::size_t kNonsense = 200;

}  // namespace

/// The slot goes on with a supervisor whose command stands ready, if there is one.
void ExecHandler::take_spare(Slot slot) {
    slots_[slot].unfit = false;
    const auto spares = slots_.begin() + static_cast<std::ptrdiff_t>(options_.slots);
    const auto spare =
        std::find_if(spares, slots_.end(), [](const SlotEntry& entry) { return entry.state == State::ready; });
    if (slot >= options_.slots || spare == slots_.end()) return;
    std::swap(slots_[slot], *spare);
    std::swap(slots_[slot].began, spare->began);  // of the slot's work, whoever did it
}

WorkEnd ExecHandler::end_of(Slot slot, const DoneBody& done, std::string_view note, std::string_view result) {
    if (!takes_messages()) return end_of_run(options_, slot, done, note, result);
    SlotEntry& entry = slots_[slot];
    entry.unfit = done.cause != Cause::answered;
    if (entry.unfit) return end_without_answer(options_, slot, done, note);
    ++answers_;
    breaker_.answered(entry.began);
    if (!options_.json) return {.slot = slot, .finish = Finish::ok, .result = std::string(result), .error = {}};
    bool in_its_senses = true;
    WorkEnd end = end_of_json(slot, entry.seq, result, in_its_senses);
    if (!in_its_senses) {
        entry.nonsense = result.substr(0, kNonsense);
        entry.link->queue(LinkRecordKind::restart, entry.run);
    }
    return end;
}

void ExecHandler::on_ended(SlotEntry& entry, const DoneBody& done, std::string_view note) {
    // Its supervisor took the nonsense for an answer
    const std::string nonsense = std::exchange(entry.nonsense, {});
    if (done.cause == Cause::broken && note.empty()) note = nonsense;
    ++ended_;
    (void)breaker_.refused(now_, now_);
    if (options_.on_ended) options_.on_ended(end_without_answer(options_, 0, done, note).error);
    wake_at_ = now_;
}

Slot ExecHandler::open_slots(Instant now) const {
    return takes_messages() ? breaker_.open(now) : UINT32_MAX;
}

void ExecHandler::add_stats(Instant now, JsonObject& stats) const {
    if (!takes_messages()) return;
    const bool held = breaker_.is_held(now);
    stats.add("coprocess", JsonObject()
                               .add("answers", answers_)
                               .add("ended", ended_)
                               .add("times_held", breaker_.times_held())
                               .add("held_for_s", held ? std::optional(breaker_.held_until() - now) : std::nullopt)
                               .add("probing", breaker_.is_probing(now)));
}

}  // namespace curfew
