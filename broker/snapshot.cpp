#include "broker/snapshot.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "common/look/attempt_groups.h"
#include "common/look/json_object.h"

namespace curfew {
namespace {

std::int64_t micros(Duration duration) {
    return std::chrono::duration_cast<std::chrono::microseconds>(duration).count();
}

/// With what a chart needs to add up several: the sum, and how many are below each bound.
JsonObject times(const Histogram& histogram) {
    std::vector<std::int64_t> bounds;
    for (const Duration bound : Histogram::kBounds) bounds.push_back(micros(bound));
    JsonObject out;
    out.add("count", histogram.count())
        .add("p50_us", micros(histogram.quantile(0.5)))
        .add("p90_us", micros(histogram.quantile(0.9)))
        .add("p99_us", micros(histogram.quantile(0.99)))
        .add("p999_us", micros(histogram.quantile(0.999)))
        .add("sum_us", micros(histogram.sum()))
        .add("le_us", bounds)
        .add("counts", histogram.totals());
    return out;
}

std::optional<Duration> age(std::optional<Instant> since, Instant now) {
    return since ? std::optional(now - *since) : std::nullopt;
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

void add_books(JsonObject& out, const Books& books) {
    out.add("tasks",
            by_name<Outcome>(books.outcomes).add("accepted", books.accepted).add("in_flight", books.tasks_in_flight));
    out.add("attempts",
            by_name<End>(books.ends).add("started", books.started).add("in_flight", books.attempts_in_flight));
    out.add("moved", books.moved).add("balanced", books.balanced());
}

void add_counts(JsonObject& out, const BrokerCounts& counts) {
    out.add("refused_frames", counts.refused)
        .add("malformed_frames", counts.malformed)
        .add("workers_silent", counts.workers_silent)
        .add("workers_died", counts.workers_died)
        .add("workers_left", counts.workers_left)
        .add("workers_never_ready", counts.workers_never_ready)
        .add("workers_refused", counts.workers_refused)
        .add("forced", counts.forced)
        .add("hellos_malformed", counts.hellos_malformed)
        .add("hellos_put_off", counts.hellos_put_off)
        .add("surprises", counts.surprises)
        .add("resends_asked", counts.resends_asked);
}

JsonObject collector_json(const Dispatcher& dispatcher, Instant now) {
    JsonObject out;
    out.add("synced", dispatcher.collector_synced())
        .add("incarnation", dispatcher.collector())
        .add("last_heard_s", age(dispatcher.collector_heard_at(), now))
        .add("unacknowledged", dispatcher.to_collector().unacknowledged())
        .add("resent", dispatcher.to_collector().resent());
    return out;
}

JsonObject worker_json(Session session, const WorkerSession& worker, const SessionBooks& books, Instant now) {
    JsonObject out;
    out.add("name", worker.name)
        .add("pool", worker.pool)
        .add("session", session)
        .add("state", name_of(worker.state))
        .add("pid", worker.pid)
        .add("incarnation", worker.worker)
        .add("slots", worker.slots)
        .add("slots_in_service", std::min(worker.slots, worker.slots_in_service))
        .add("credit", worker.credit)
        .add("credit_taken", worker.in_flight)
        .add("in_flight", books.open.size())
        .add("last_heard_s", now - worker.last_heard)
        .add("sent", books.last_number);
    out.append(by_name<End>(books.ends));
    Histogram took = worker.won;
    took.add(worker.others);
    out.add("took", JsonObject()
                        .add("count", took.count())
                        .add("p50_us", micros(took.quantile(0.5)))
                        .add("p99_us", micros(took.quantile(0.99))));
    return out;
}

/// Each has one end, or none yet: nothing is counted twice.
JsonObject hedges_json(const Hedging::Counts& counts, const EndCounts& ends, Duration saved) {
    std::uint64_t ended = 0;
    for (const std::uint64_t count : ends) ended += count;
    JsonObject out = by_name<End>(ends);
    out.add("sent", counts.sent)
        .add("in_flight", counts.sent - std::min(counts.sent, ended))
        .add("withheld", counts.withheld)
        .add("saved_us", micros(saved));
    return out;
}

JsonObject pool_json(const std::string& name, const PoolTally& pool) {
    JsonObject out;
    out.add("name", name);
    out.append(by_name<End>(pool.ends));
    out.add("won_time", times(pool.won)).add("other_time", times(pool.others));
    return out;
}

/// The most frequent first.
std::vector<JsonObject> failures_json(const Frequent<FailureExample>& failures) {
    std::vector<JsonObject> out;
    for (const auto& entry : failures.sorted()) {
        JsonObject& failure = out.emplace_back();
        failure.add("reason", entry.text)
            .add("count", entry.count)
            .add("at_most_too_many", entry.error)
            .add("worker", entry.example.worker)
            .add("seq", entry.example.seq)
            .add("error", entry.example.error);
    }
    return out;
}

/// What racing gave.
void add_tallies(JsonObject& out, const Dispatcher& dispatcher) {
    const Tallies& tallies = dispatcher.tallies();
    const auto pools = tallies.pools(dispatcher.roster(), dispatcher.ledger());
    EndCounts hedge_ends{};
    std::vector<JsonObject> said;
    for (const auto& [name, pool] : pools) {
        for (std::size_t i = 0; i < hedge_ends.size(); ++i) hedge_ends[i] += pool.hedge_ends[i];
        said.push_back(pool_json(name, pool));
    }
    out.add("hedges", hedges_json(dispatcher.hedging().counts(), hedge_ends, tallies.saved()))
        .add("task_time", times(tallies.completed()))
        .add("task_time_not_completed", times(tallies.not_completed()))
        .add("pools", said)
        .add("failures", failures_json(tallies.failures()));
}

}  // namespace

JsonObject broker_stats(const Dispatcher& dispatcher, Instant now) {
    JsonObject out;
    add_books(out, dispatcher.ledger().books());
    out.add("window", dispatcher.config().window)
        .add("fanout", dispatcher.config().fanout)
        .add("attempt_time", times(dispatcher.hedging().took()))
        .add("cancel_time", times(dispatcher.cancel_time()));
    add_tallies(out, dispatcher);
    add_counts(out, dispatcher.counts());
    out.add("backlog_bytes", dispatcher.backlog())
        .add("collector", collector_json(dispatcher, now))
        .add("oldest_task_s", age(oldest_task(dispatcher.ledger()), now))
        .add("oldest_attempt_s", age(oldest_attempt(dispatcher.ledger()), now));
    std::vector<JsonObject> workers;
    for (const auto& [session, worker] : dispatcher.roster().sessions())
        workers.push_back(worker_json(session, *worker, *dispatcher.ledger().session(session), now));
    out.add("workers", workers);
    return out;
}

namespace {

class BrokerDump : public LongReply {
public:
    BrokerDump(const Dispatcher& dispatcher, Instant now, DumpQuery query, const JsonObject& first)
        : LongReply(first), dispatcher_(dispatcher), now_(now), query_(std::move(query)) {
        dispatcher.ledger().sessions().for_each([&](Session session, const std::unique_ptr<SessionBooks>& books) {
            const WorkerSession* worker = dispatcher.roster().find(session);
            sections_.push_back({session,
                                 worker == nullptr ? std::string() : worker->name,
                                 worker == nullptr ? std::string() : worker->pool,
                                 books->last_number,
                                 books->open.page_numbers(),
                                 {}});
        });
        for (const Section& section : sections_) groups_.place(section.pool, section.worker);
    }

private:
    static constexpr std::size_t kPagesAStep = 32, kRowsAStep = 32, kRowBytes = 220;

    struct Row {
        AttemptNumber number;
        Attempt attempt;
        Instant deadline_at;
        std::unique_ptr<std::string> id;  // null: the sender gave none
    };
    struct Section {  // a session
        Session session;
        std::string worker, pool;
        AttemptNumber upto;  // what is there from the beginning
        std::vector<std::uint64_t> pages;
        std::vector<Row> rows;  // oldest first, as the numbers are
        std::size_t next_page = 0, next_row = 0;
    };

    bool look() override {
        if (section_ == sections_.size()) return false;
        Section& section = sections_[section_];
        const SessionBooks* books = dispatcher_.ledger().session(section.session);
        for (std::size_t step = 0; step < kPagesAStep; ++step) {
            if (books == nullptr || section.next_page == section.pages.size()) {
                ++section_;
                break;
            }
            books->open.for_each_in_page(section.pages[section.next_page++],
                                         [&](AttemptNumber number, const Attempt& attempt) {
                                             if (number <= section.upto) look_at(section, number, attempt);
                                         });
        }
        return true;
    }

    void look_at(Section& section, AttemptNumber number, const Attempt& attempt) {
        ++in_flight_;
        const Duration age = now_ - attempt.started_at;
        if (!query_.asks_for(section.worker, name_of(attempt.state), age)) return;
        ++matching_;
        groups_.at(section_).add(attempt.state, age);
        if (section.rows.size() == query_.limit) return;
        const Task* task = dispatcher_.ledger().task(attempt.seq);
        const bool has_id = task != nullptr && task->id() != nullptr;
        section.rows.push_back({number, attempt, task == nullptr ? kNever : task->deadline_at,
                                has_id ? std::make_unique<std::string>(*task->id()) : nullptr});
    }

    void begin() override {
        expect(std::min(query_.limit, matching_) * kRowBytes);
        say(JsonObject()
                .add("in_flight", in_flight_)
                .add("matching", matching_)
                .add("groups", groups_.json())
                .members());
        say(R"(,"attempts":[)");
    }
    void end() override { say("]"); }

    bool write() override {
        for (std::size_t step = 0; step < kRowsAStep; ++step) {
            Section* oldest = nullptr;
            for (Section& section : sections_) {
                if (section.next_row < section.rows.size() && (oldest == nullptr || goes_before(section, *oldest)))
                    oldest = &section;
            }
            if (oldest == nullptr || written_ == query_.limit) return false;
            write(*oldest, oldest->rows[oldest->next_row++]);
            ++written_;
        }
        return true;
    }
    static bool goes_before(const Section& a, const Section& b) {
        return a.rows[a.next_row].attempt.started_at < b.rows[b.next_row].attempt.started_at;
    }

    void write(const Section& section, const Row& row) {
        const Attempt& attempt = row.attempt;
        const bool called_home = attempt.state == AttemptState::cancelling;
        if (written_ != 0) say(",");
        say(JsonObject()
                .add("seq", attempt.seq)
                .add("id", id_of(dispatcher_, attempt.seq, row.id == nullptr ? "" : *row.id))
                .add("attempt", attempt.ordinal)
                .add("session", section.session)
                .add("number", row.number)
                .add("worker", if_any(section.worker))
                .add("pool", if_any(section.pool))
                .add("state", name_of(attempt.state))
                .add("age_s", now_ - attempt.started_at)
                .add("in_state_s", called_home ? std::optional(std::max(Duration::zero(), now_ - attempt.cancelled_at))
                                               : std::nullopt)
                .add("left_s", row.deadline_at == kNever ? std::nullopt : std::optional(row.deadline_at - now_))
                .text());
    }

    const Dispatcher& dispatcher_;
    const Instant now_;
    const DumpQuery query_;
    std::vector<Section> sections_;
    std::size_t section_ = 0;  // that is being looked at
    AttemptGroups groups_;     // a place for each section
    std::size_t in_flight_ = 0, matching_ = 0, written_ = 0;
};

}  // namespace

std::string id_of(const Dispatcher& dispatcher, Seq seq, std::string_view given) {
    return given.empty() ? fmt::format("{}-{}", dispatcher.config().epoch, seq) : std::string(given);
}

std::unique_ptr<Reply> broker_dump(const Dispatcher& dispatcher, Instant now, const DumpQuery& query,
                                   const JsonObject& first) {
    return std::make_unique<BrokerDump>(dispatcher, now, query, first);
}

JsonObject broker_ends(Dispatcher& dispatcher, Instant now, std::optional<std::uint64_t> after) {
    const EndLog::Part part = dispatcher.end_log().follow(now, after);
    std::vector<JsonObject> ends;
    for (const EndLog::Entry& entry : part.entries) {
        const WorkerSession* worker = dispatcher.roster().find(entry.id.session);
        const bool called_home = entry.attempt.state == AttemptState::cancelling;
        ends.emplace_back()
            .add("seq", entry.attempt.seq)
            .add("id", id_of(dispatcher, entry.attempt.seq, entry.task_id))
            .add("attempt", entry.attempt.ordinal)
            .add("session", entry.id.session)
            .add("number", entry.id.number)
            .add("worker", if_any(worker == nullptr ? entry.worker : worker->name))
            .add("pool", if_any(worker == nullptr ? dispatcher.end_log().pool_of(entry.id.session) : worker->pool))
            .add("end", name_of(entry.end))
            .add("called_home", called_home ? std::optional(name_of(entry.attempt.reason)) : std::nullopt)
            .add("hedge", entry.attempt.hedge)
            .add("took_s", entry.ended_at - entry.attempt.started_at)
            .add("ago_s", now - entry.ended_at)
            .add("error", if_any(entry.error))
            .add("left_out", entry.left_out);
    }
    std::map<Session, std::string> pools;
    for (const auto& [session, worker] : dispatcher.roster().sessions()) pools.emplace(session, worker->pool);
    dispatcher.end_log().know_pools(std::move(pools));
    JsonObject out;
    out.add("next", part.last).add("missed", part.missed).add("ends", ends);
    return out;
}

}  // namespace curfew
