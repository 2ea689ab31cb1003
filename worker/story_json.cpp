#include "worker/story_json.h"

#include <optional>
#include <vector>

namespace curfew {

JsonObject worker_story(const WorkerCore& core, Instant now, std::uint64_t wall_us, Seq seq) {
    const auto wall = [&](Instant at) -> std::optional<std::uint64_t> {
        if (at == kNever) return std::nullopt;
        return wall_us +
               static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::microseconds>(at - now).count());
    };
    std::vector<JsonObject> work;
    const auto tell = [&](const WorkTimes::Entry& entry) {
        work.emplace_back()
            .add("session", entry.id.session)
            .add("number", entry.id.number)
            .add("began_us", wall(entry.began_at))
            .add("stop_us", wall(entry.stop_at))
            .add("ended_us", wall(entry.ended_at));
    };
    core.work_times().for_each_of(seq, tell);
    for (const SlotState& slot : core.slots()) {
        if (slot.attempt.number == 0 || slot.attempt.session != core.session()) continue;
        const HeldAttempt* held = core.held().find(slot.attempt.number);
        if (held == nullptr || held->seq != seq) continue;
        tell({slot.attempt, seq, slot.started_at, slot.stopping ? slot.stop_at : kNever, kNever});
    }
    JsonObject out;
    out.add("work", work);
    return out;
}

}  // namespace curfew
