#include "worker/snapshot.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <string>
#include <utility>
#include <vector>

#include "common/look/attempt_groups.h"
#include "common/look/json_text.h"

namespace curfew {
namespace {

class WorkerDump : public LongReply {
public:
    WorkerDump(const WorkerCore& core, const Handler& handler, Instant now, DumpQuery query,
               std::string_view first_members)
        : LongReply(first_members),
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
        say(fmt::format(R"("in_flight":{},"matching":{},"groups":{},"attempts":[)", in_flight_, matching_,
                        groups_.json()));
    }
    void end() override {
        say(R"(],"out_of_service":[)");
        say(out_of_service());
        say("]");
    }

    bool write() override {
        for (std::size_t step = 0; step < kRowsAStep; ++step, ++written_) {
            if (written_ == found_.size()) return false;
            write(found_[written_]);
        }
        return true;
    }

    void write(const Row& row) {
        say(fmt::format(
            R"({}{{"seq":{},"attempt":{},"session":{},"number":{},"worker":{},"pool":{},"state":"{}","age_s":{:.6f},"in_state_s":{:.6f},"left_s":{},"pid":{}}})",
            written_ == 0 ? "" : ",", row.seq, row.ordinal, session_, row.number, json_text(core_.config().name),
            json_text(core_.config().pool), name_of(row.state), seconds(now_ - row.received_at),
            std::max(0.0, seconds(now_ - row.since)),
            row.deadline_at == kNever ? "null" : fmt::format("{:.6f}", seconds(row.deadline_at - now_)),
            row.pid == 0 ? "null" : std::to_string(row.pid)));
    }

    [[nodiscard]] std::string out_of_service() const {
        std::string out;
        for (Slot slot = 0; slot < core_.slots().size(); ++slot) {
            const SlotState& state = core_.slots()[slot];
            if (!state.out_of_service) continue;
            const pid_t pid = handler_.pid(slot);
            out += fmt::format(R"({}{{"slot":{},"pid":{},"stopping_s":{:.6f}}})", out.empty() ? "" : ",", slot,
                               pid == 0 ? "null" : std::to_string(pid), seconds(now_ - state.stop_at));
        }
        return out;
    }

    static double seconds(Duration duration) { return std::chrono::duration<double>(duration).count(); }

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
                                   std::string_view first_members) {
    return std::make_unique<WorkerDump>(core, handler, now, query, first_members);
}

}  // namespace curfew
