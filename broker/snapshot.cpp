#include "broker/snapshot.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <optional>
#include <vector>

#include "common/attempt_groups.h"
#include "common/json_text.h"

namespace curfew {
namespace {

double seconds(Duration duration) {
    return std::chrono::duration<double>(duration).count();
}
std::int64_t micros(Duration duration) {
    return std::chrono::duration_cast<std::chrono::microseconds>(duration).count();
}

std::string percentiles(const Histogram& histogram) {
    std::vector<std::int64_t> bounds;
    for (const Duration bound : Histogram::kBounds) bounds.push_back(micros(bound));
    return fmt::format(
        R"({{"count":{},"p50_us":{},"p90_us":{},"p99_us":{},"p999_us":{},"sum_us":{},"le_us":[{}],"counts":[{}]}})",
        histogram.count(), micros(histogram.quantile(0.5)), micros(histogram.quantile(0.9)),
        micros(histogram.quantile(0.99)), micros(histogram.quantile(0.999)), micros(histogram.sum()),
        fmt::join(bounds, ","), fmt::join(histogram.totals(), ","));
}

std::string seconds_or_null(std::optional<Instant> since, Instant now) {
    return since ? fmt::format("{:.6f}", seconds(now - *since)) : "null";
}

std::optional<Instant> oldest_task(const Ledger& ledger) {
    const auto seq = ledger.tasks().first_key();
    return seq ? std::optional(ledger.task(*seq)->accepted_at) : std::nullopt;
}

std::optional<Instant> oldest_attempt(const Ledger& ledger) {
    std::optional<Instant> oldest;
    ledger.sessions().for_each([&](Session, const std::unique_ptr<SessionBooks>& books) {
        const auto number = books->open.first_key();
        if (!number) return;
        const Instant started_at = books->open.find(*number)->started_at;
        if (!oldest || started_at < *oldest) oldest = started_at;
    });
    return oldest;
}

}  // namespace

std::string broker_stats(const Dispatcher& dispatcher, Instant now) {
    const Books books = dispatcher.ledger().books();
    std::string out = fmt::format(
        R"("tasks":{{"accepted":{},"completed":{},"failed":{},"expired":{},"cancelled":{},"in_flight":{}}},)"
        R"("attempts":{{"started":{},"won":{},"late":{},"cancelled":{},"failed":{},"expired":{},"lost":{},"in_flight":{}}},"balanced":{},)",
        books.accepted, books.of(Outcome::completed), books.of(Outcome::failed), books.of(Outcome::expired),
        books.of(Outcome::cancelled), books.tasks_in_flight, books.started, books.of(End::won), books.of(End::late),
        books.of(End::cancelled), books.of(End::failed), books.of(End::expired), books.of(End::lost),
        books.attempts_in_flight, books.balanced());
    const auto& counts = dispatcher.counts();
    const auto& hedges = dispatcher.hedging().counts();
    out += fmt::format(
        R"("window":{},"fanout":{},"hedges":{{"sent":{},"won":{},"withheld":{}}},"attempt_time":{},"cancel_time":{},)"
        R"("refused_frames":{},"malformed_frames":{},"workers_silent":{},"workers_died":{},"workers_left":{},)"
        R"("collector":{{"synced":{},"incarnation":{},"unacknowledged":{},"resent":{}}},"oldest_task_s":{},"oldest_attempt_s":{},"workers":[)",
        dispatcher.config().window, dispatcher.config().fanout, hedges.sent, hedges.won, hedges.withheld,
        percentiles(dispatcher.hedging().took()), percentiles(dispatcher.cancel_time()), counts.refused,
        counts.malformed, counts.workers_silent, counts.workers_died, counts.workers_left,
        dispatcher.collector_synced(), dispatcher.collector(), dispatcher.to_collector().unacknowledged(),
        dispatcher.to_collector().resent(), seconds_or_null(oldest_task(dispatcher.ledger()), now),
        seconds_or_null(oldest_attempt(dispatcher.ledger()), now));
    const char* comma = "";
    for (const auto& [session, worker] : dispatcher.roster().sessions()) {
        const SessionBooks& ends = *dispatcher.ledger().session(session);
        const auto of = [&](End end) { return ends.ends[static_cast<std::size_t>(end)]; };
        out += fmt::format(
            R"({}{{"name":{},"pool":{},"session":{},"state":"{}","pid":{},"incarnation":{},"slots":{},"slots_in_service":{},"credit":{},"in_flight":{},"last_heard_s":{:.3f},"sent":{},)"
            R"("won":{},"late":{},"cancelled":{},"failed":{},"expired":{},"lost":{},"took":{{"count":{},"p50_us":{},"p99_us":{}}}}})",
            std::exchange(comma, ","), json_text(worker->name), json_text(worker->pool), session,
            name_of(worker->state), worker->pid, worker->worker, worker->slots,
            std::min(worker->slots, worker->slots_in_service), worker->credit, ends.open.size(),
            seconds(now - worker->last_heard), ends.last_number, of(End::won), of(End::late), of(End::cancelled),
            of(End::failed), of(End::expired), of(End::lost), worker->took.count(), micros(worker->took.quantile(0.5)),
            micros(worker->took.quantile(0.99)));
    }
    return out + "]";
}

std::string broker_dump(const Dispatcher& dispatcher, Instant now, const DumpQuery& query) {
    struct Row {
        Instant started_at;
        Session session;
        AttemptNumber number;
    };
    std::vector<Row> rows;
    AttemptGroups groups;
    dispatcher.ledger().sessions().for_each([&](Session session, const std::unique_ptr<SessionBooks>& books) {
        const WorkerSession* worker = dispatcher.roster().find(session);
        const std::string_view name = worker == nullptr ? std::string_view() : worker->name;
        AttemptGroups::Place& place = groups.place(worker == nullptr ? std::string_view() : worker->pool, name);
        books->open.for_each([&](AttemptNumber number, const Attempt& attempt) {
            const Duration age = now - attempt.started_at;
            if (!query.asks_for(name, name_of(attempt.state), age)) return;
            rows.push_back({attempt.started_at, session, number});
            place.add(attempt.state, age);
        });
    });
    const auto oldest_first = [](const Row& a, const Row& b) {
        return std::tie(a.started_at, a.session, a.number) < std::tie(b.started_at, b.session, b.number);
    };
    const std::size_t matching = rows.size();
    const auto shown = static_cast<std::ptrdiff_t>(std::min(query.limit, matching));
    if (shown < std::ssize(rows)) std::nth_element(rows.begin(), rows.begin() + shown, rows.end(), oldest_first);
    rows.resize(static_cast<std::size_t>(shown));
    std::sort(rows.begin(), rows.end(), oldest_first);

    std::string out = fmt::format(R"("in_flight":{},"matching":{},"groups":{},"attempts":[)",
                                  dispatcher.ledger().attempts_in_flight(), matching, groups.json());
    auto to = std::back_inserter(out);
    const char* comma = "";
    for (const Row& row : rows) {
        const Attempt& attempt = *dispatcher.ledger().session(row.session)->open.find(row.number);
        const Task* task = dispatcher.ledger().task(attempt.seq);
        const WorkerSession* worker = dispatcher.roster().find(row.session);
        const Instant deadline_at = task == nullptr ? kNever : task->deadline_at;
        const bool has_id = task != nullptr && task->id != nullptr;
        const bool called_home = attempt.state == AttemptState::cancelling;
        fmt::format_to(
            to,
            R"({}{{"seq":{},"id":{},"attempt":{},"session":{},"number":{},"worker":{},"pool":{},"state":"{}","age_s":{:.6f},"in_state_s":{},"left_s":{}}})",
            std::exchange(comma, ","), attempt.seq,
            has_id ? json_text(*task->id) : fmt::format(R"("{}-{}")", dispatcher.config().epoch, attempt.seq),
            attempt.ordinal, row.session, row.number, worker == nullptr ? "null" : json_text(worker->name),
            worker == nullptr ? "null" : json_text(worker->pool), name_of(attempt.state),
            seconds(now - attempt.started_at),
            called_home ? fmt::format("{:.6f}", seconds(now - attempt.cancelled_at)) : "null",
            deadline_at == kNever ? "null" : fmt::format("{:.6f}", seconds(deadline_at - now)));
    }
    return out + "]";
}

}  // namespace curfew
