#include "worker/snapshot.h"

#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "common/look/attempt_groups.h"
#include "common/look/json_object.h"

namespace curfew {
namespace {

class WorkerDump : public LongReply {
public:
    WorkerDump(const WorkerCore& core, const Handler& handler, Instant now, DumpQuery query, const JsonObject& first)
        : LongReply(first),
          core_(core),
          handler_(handler),
          now_(now),
          query_(std::move(query)),
          session_(core.session()),
          pages_(core.held().page_numbers()),
          place_(groups_.place(core.config().pool, core.config().name)) {}

private:
    static constexpr std::size_t kPagesAStep = 32, kRowsAStep = 32, kRowBytes = 220;

    struct Row {
        AttemptNumber number;
        Seq seq;
        std::uint32_t ordinal;
        AttemptState state;
        pid_t pid;
        Instant received_at, since, deadline_at;
    };

    bool look() override {
        for (std::size_t step = 0; step < kPagesAStep; ++step) {
            if (core_.session() != session_ || next_page_ == pages_.size()) return false;
            core_.held().for_each_in_page(pages_[next_page_++], [&](AttemptNumber number, const HeldAttempt& attempt) {
                look_at(number, attempt);
            });
        }
        return true;
    }

    void look_at(AttemptNumber number, const HeldAttempt& attempt) {
        const Duration age = now_ - attempt.received_at;
        if (age < Duration::zero()) return;  // it has come since
        ++in_flight_;
        if (!query_.asks_for(core_.config().name, name_of(attempt.state), age)) return;
        ++matching_;
        place_.add(attempt.state, age);
        if (found_.size() == query_.limit) return;
        const bool has_slot = attempt.state == AttemptState::running || attempt.state == AttemptState::cancelling;
        found_.push_back({number, attempt.seq, attempt.ordinal, attempt.state,
                          has_slot ? handler_.pid(attempt.slot) : 0, attempt.received_at, attempt.since,
                          attempt.deadline_at});
    }

    void begin() override {
        expect(found_.size() * kRowBytes);
        say(JsonObject()
                .add("in_flight", in_flight_)
                .add("matching", matching_)
                .add("groups", groups_.json())
                .members());
        say(R"(,"attempts":[)");
    }
    void end() override {
        say("],");
        say(JsonObject().add("out_of_service", out_of_service()).members());
    }

    bool write() override {
        for (std::size_t step = 0; step < kRowsAStep; ++step, ++written_) {
            if (written_ == found_.size()) return false;
            write(found_[written_]);
        }
        return true;
    }

    void write(const Row& row) {
        if (written_ != 0) say(",");
        say(JsonObject()
                .add("seq", row.seq)
                .add("attempt", row.ordinal)
                .add("session", session_)
                .add("number", row.number)
                .add("worker", core_.config().name)
                .add("pool", core_.config().pool)
                .add("state", name_of(row.state))
                .add("age_s", now_ - row.received_at)
                .add("in_state_s", std::max(Duration::zero(), now_ - row.since))
                .add("left_s", row.deadline_at == kNever ? std::nullopt : std::optional(row.deadline_at - now_))
                .add("pid", pid_json(row.pid))
                .text());
    }

    [[nodiscard]] std::vector<JsonObject> out_of_service() const {
        std::vector<JsonObject> out;
        for (Slot slot = 0; slot < core_.slots().size(); ++slot) {
            const SlotState& state = core_.slots()[slot];
            if (!state.out_of_service) continue;
            out.emplace_back()
                .add("slot", slot)
                .add("pid", pid_json(handler_.pid(slot)))
                .add("stopping_s", now_ - state.stop_at);
        }
        return out;
    }

    static std::optional<pid_t> pid_json(pid_t pid) { return pid == 0 ? std::nullopt : std::optional(pid); }

    const WorkerCore& core_;
    const Handler& handler_;
    const Instant now_;
    const DumpQuery query_;
    const Session session_;
    const std::vector<std::uint64_t> pages_;
    AttemptGroups groups_;
    AttemptGroups::Place& place_;
    std::size_t next_page_ = 0, in_flight_ = 0, matching_ = 0, written_ = 0;
    std::vector<Row> found_;  // oldest first, as the numbers are
};

}  // namespace

std::unique_ptr<Reply> worker_dump(const WorkerCore& core, const Handler& handler, Instant now, const DumpQuery& query,
                                   const JsonObject& first) {
    return std::make_unique<WorkerDump>(core, handler, now, query, first);
}

}  // namespace curfew
