#include "broker/story_json.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <vector>

#include "broker/snapshot.h"
#include "common/process/options.h"

namespace curfew {
namespace {

/// Puts down one story. Times are those of the wall clock: what processes say is put together.
class Teller {
public:
    Teller(const Dispatcher& dispatcher, Instant now, std::uint64_t wall_us)
        : dispatcher_(dispatcher), now_(now), wall_us_(wall_us) {}

    [[nodiscard]] JsonObject of_task_in_flight(Seq seq, const Task& task) const {
        const Story* story = dispatcher_.stories().find(seq);
        const bool decided = task.state == TaskState::decided;
        JsonObject out;
        out.add("seq", seq)
            .add("id", id_of(dispatcher_, seq, task.id() == nullptr ? "" : *task.id()))
            .add("state", decided ? "decided" : "open")
            .add("outcome", decided ? std::optional(name_of(task.outcome)) : std::nullopt)
            .add("error", std::nullopt)
            .add("accepted_us", wall(task.accepted_at))
            .add("decided_us", wall(decided && story != nullptr ? story->decided_at : kNever))
            .add("settled_us", std::nullopt)
            .add("deadline_us", wall(task.deadline_at));
        std::vector<JsonObject> attempts = ended(story);
        add_open(attempts, task.alive);
        auto told = static_cast<std::uint32_t>(attempts.size());
        if (story != nullptr)
            told -= static_cast<std::uint32_t>(std::ranges::count(story->attempts, true, &ToldAttempt::moved));
        return add_attempts(std::move(out), task.started, attempts, task.started - std::min(task.started, told));
    }

    [[nodiscard]] JsonObject of_settled(Seq seq, const Story& story) const {
        JsonObject out;
        out.add("seq", seq)
            .add("id", id_of(dispatcher_, seq, story.id))
            .add("state", "settled")
            .add("outcome", name_of(story.outcome))
            .add("error", if_any(story.error))
            .add("accepted_us", wall(story.accepted_at))
            .add("decided_us", wall(story.decided_at))
            .add("settled_us", wall(story.settled_at))
            .add("deadline_us", std::nullopt);
        std::vector<JsonObject> attempts = ended(&story);
        add_open(attempts, story.open);
        return add_attempts(std::move(out), story.started, attempts, story.left_out);
    }

private:
    [[nodiscard]] std::optional<std::uint64_t> wall(Instant at) const {
        if (at == kNever) return std::nullopt;
        return wall_us_ +
               static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::microseconds>(at - now_).count());
    }

    [[nodiscard]] std::vector<JsonObject> ended(const Story* story) const {
        std::vector<JsonObject> attempts;
        if (story == nullptr) return attempts;
        for (const ToldAttempt& told : story->attempts) {
            attempts.push_back(begun(told.id, told.was, told.worker, told.pool));
            attempts.back()
                .add("ended_us", wall(told.ended_at))
                .add("end", name_of(told.end))
                .add("moved", told.moved)
                .add("error", if_any(told.error));
        }
        return attempts;
    }

    void add_open(std::vector<JsonObject>& attempts, const auto& ids) const {
        for (const AttemptId id : ids) {
            const SessionBooks* books = dispatcher_.ledger().session(id.session);
            const Attempt* attempt = books == nullptr ? nullptr : books->open.find(id.number);
            const WorkerSession* worker = dispatcher_.roster().find(id.session);
            if (attempt == nullptr || worker == nullptr) continue;
            attempts.push_back(begun(id, *attempt, worker->name, worker->pool));
            attempts.back()
                .add("ended_us", std::nullopt)
                .add("end", std::nullopt)
                .add("moved", false)
                .add("error", std::nullopt);
        }
    }

    [[nodiscard]] JsonObject begun(AttemptId id, const Attempt& attempt, const std::string& worker,
                                   const std::string& pool) const {
        const bool called_home = attempt.cancelled_at != Instant{};
        JsonObject out;
        out.add("attempt", attempt.ordinal)
            .add("hedge", attempt.hedge)
            .add("session", id.session)
            .add("number", id.number)
            .add("worker", if_any(worker))
            .add("pool", if_any(pool))
            .add("sent_us", wall(attempt.started_at))
            .add("called_home_us", wall(called_home ? attempt.cancelled_at : kNever))
            .add("called_home", called_home ? std::optional(name_of(attempt.reason)) : std::nullopt);
        return out;
    }

    [[nodiscard]] static JsonObject add_attempts(JsonObject out, std::uint32_t started,
                                                 const std::vector<JsonObject>& attempts, std::uint64_t left_out) {
        out.add("started", started).add("attempts", attempts).add("left_out", left_out);
        return out;
    }

    const Dispatcher& dispatcher_;
    const Instant now_;
    const std::uint64_t wall_us_;
};

bool is_known(const Dispatcher& dispatcher, Seq seq) {
    return dispatcher.ledger().task(seq) != nullptr || dispatcher.stories().find(seq) != nullptr;
}

Seq find_called(const Dispatcher& dispatcher, const std::string& id) {
    Seq last = 0;
    dispatcher.ledger().tasks().for_each([&](Seq seq, const Task& task) {
        if (task.id() != nullptr && *task.id() == id) last = std::max(last, seq);
    });
    return last != 0 ? last : dispatcher.stories().find(id);
}

}  // namespace

Seq find_task(const Dispatcher& dispatcher, const std::string& task) {
    const std::string epoch = fmt::format("{}-", dispatcher.config().epoch);
    const auto number = parse_count(task.starts_with(epoch) ? task.substr(epoch.size()) : task);
    if (number && is_known(dispatcher, *number)) return *number;
    return task.empty() ? 0 : find_called(dispatcher, task);
}

JsonObject broker_story(const Dispatcher& dispatcher, Instant now, std::uint64_t wall_us, const std::string& task) {
    const Seq seq = find_task(dispatcher, task);
    JsonObject out;
    out.add("now_us", wall_us)
        .add("last_seq", dispatcher.ledger().last_seq())
        .add("stories", dispatcher.stories().size())
        .add("one_of", dispatcher.stories().step());
    const Teller teller(dispatcher, now, wall_us);
    if (const Task* in_flight = dispatcher.ledger().task(seq)) {
        out.add("task", teller.of_task_in_flight(seq, *in_flight));
    } else if (const Story* story = dispatcher.stories().find(seq)) {
        out.add("task", teller.of_settled(seq, *story));
    } else {
        out.add("task", std::nullopt);
    }
    return out;
}

}  // namespace curfew
