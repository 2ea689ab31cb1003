#include "broker/snapshot.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <nlohmann/json.hpp>

namespace curfew {
namespace {

double seconds(Duration duration) {
    return std::chrono::duration<double>(duration).count();
}
std::int64_t micros(Duration duration) {
    return std::chrono::duration_cast<std::chrono::microseconds>(duration).count();
}
std::string text(const std::string& value) {
    return nlohmann::json(value).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

std::string percentiles(const Histogram& histogram) {
    return fmt::format(R"({{"count":{},"p50_us":{},"p90_us":{},"p99_us":{},"p999_us":{}}})", histogram.count(),
                       micros(histogram.quantile(0.5)), micros(histogram.quantile(0.9)),
                       micros(histogram.quantile(0.99)), micros(histogram.quantile(0.999)));
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
        R"("collector":{{"synced":{},"incarnation":{},"unacknowledged":{},"resent":{}}},"workers":[)",
        dispatcher.config().window, dispatcher.config().fanout, hedges.sent, hedges.won, hedges.withheld,
        percentiles(dispatcher.hedging().took()), percentiles(dispatcher.cancel_time()), counts.refused,
        counts.malformed, counts.workers_silent, counts.workers_died, counts.workers_left,
        dispatcher.collector_synced(), dispatcher.collector(), dispatcher.to_collector().unacknowledged(),
        dispatcher.to_collector().resent());
    const char* comma = "";
    for (const auto& [session, worker] : dispatcher.roster().sessions()) {
        const SessionBooks& ends = *dispatcher.ledger().session(session);
        const auto of = [&](End end) { return ends.ends[static_cast<std::size_t>(end)]; };
        out += fmt::format(
            R"({}{{"name":{},"pool":{},"session":{},"state":"{}","pid":{},"slots":{},"credit":{},"in_flight":{},"last_heard_s":{:.3f},"sent":{},)"
            R"("won":{},"late":{},"cancelled":{},"failed":{},"expired":{},"lost":{}}})",
            std::exchange(comma, ","), text(worker->name), text(worker->pool), session, name_of(worker->state),
            worker->pid, worker->slots, worker->credit, ends.open.size(), seconds(now - worker->last_heard),
            ends.last_number, of(End::won), of(End::late), of(End::cancelled), of(End::failed), of(End::expired),
            of(End::lost));
    }
    return out + "]";
}

std::string broker_dump(const Dispatcher& dispatcher, Instant now, std::size_t limit) {
    struct Row {
        Instant started_at;
        Session session;
        AttemptNumber number;
    };
    std::vector<Row> rows;
    rows.reserve(dispatcher.ledger().attempts_in_flight());
    dispatcher.ledger().sessions().for_each([&](Session session, const std::unique_ptr<SessionBooks>& books) {
        books->open.for_each([&](AttemptNumber number, const Attempt& attempt) {
            rows.push_back({attempt.started_at, session, number});
        });
    });
    const auto oldest_first = [](const Row& a, const Row& b) {
        return std::tie(a.started_at, a.session, a.number) < std::tie(b.started_at, b.session, b.number);
    };
    const std::size_t all = rows.size();
    const auto shown = static_cast<std::ptrdiff_t>(std::min(limit, all));
    std::partial_sort(rows.begin(), rows.begin() + shown, rows.end(), oldest_first);
    rows.resize(static_cast<std::size_t>(shown));

    std::string out = fmt::format(R"("in_flight":{},"attempts":[)", all);
    auto to = std::back_inserter(out);
    const char* comma = "";
    for (const Row& row : rows) {
        const Attempt& attempt = *dispatcher.ledger().session(row.session)->open.find(row.number);
        const Task* task = dispatcher.ledger().task(attempt.seq);
        const WorkerSession* worker = dispatcher.roster().find(row.session);
        const Instant deadline_at = task == nullptr ? kNever : task->deadline_at;
        fmt::format_to(
            to,
            R"({}{{"seq":{},"attempt":{},"session":{},"number":{},"worker":{},"state":"{}","age_s":{:.6f},"left_s":{}}})",
            std::exchange(comma, ","), attempt.seq, attempt.ordinal, row.session, row.number,
            worker == nullptr ? "null" : text(worker->name), name_of(attempt.state), seconds(now - attempt.started_at),
            deadline_at == kNever ? "null" : fmt::format("{:.6f}", seconds(deadline_at - now)));
    }
    return out + "]";
}

}  // namespace curfew
