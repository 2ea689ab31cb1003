#include "broker/snapshot.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <optional>
#include <vector>

#include "common/look/attempt_groups.h"
#include "common/look/json_text.h"

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

/// By which a task is known whose sender gave none. JSON.
std::string default_id(const Dispatcher& dispatcher, Seq seq) {
    return fmt::format(R"("{}-{}")", dispatcher.config().epoch, seq);
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
        R"("attempts":{{"started":{},"won":{},"late":{},"cancelled":{},"failed":{},"expired":{},"lost":{},"in_flight":{}}},"moved":{},"balanced":{},)",
        books.accepted, books.of(Outcome::completed), books.of(Outcome::failed), books.of(Outcome::expired),
        books.of(Outcome::cancelled), books.tasks_in_flight, books.started, books.of(End::won), books.of(End::late),
        books.of(End::cancelled), books.of(End::failed), books.of(End::expired), books.of(End::lost),
        books.attempts_in_flight, books.moved, books.balanced());
    const auto& counts = dispatcher.counts();
    const auto& hedges = dispatcher.hedging().counts();
    out += fmt::format(
        R"("window":{},"fanout":{},"hedges":{{"sent":{},"won":{},"withheld":{}}},"attempt_time":{},"cancel_time":{},)"
        R"("refused_frames":{},"malformed_frames":{},"workers_silent":{},"workers_died":{},"workers_left":{},"workers_never_ready":{},"workers_refused":{},"forced":{},"backlog_bytes":{},)"
        R"("hellos_malformed":{},"hellos_put_off":{},"surprises":{},"resends_asked":{},)"
        R"("collector":{{"synced":{},"incarnation":{},"last_heard_s":{},"unacknowledged":{},"resent":{}}},"oldest_task_s":{},"oldest_attempt_s":{},"workers":[)",
        dispatcher.config().window, dispatcher.config().fanout, hedges.sent, hedges.won, hedges.withheld,
        percentiles(dispatcher.hedging().took()), percentiles(dispatcher.cancel_time()), counts.refused,
        counts.malformed, counts.workers_silent, counts.workers_died, counts.workers_left, counts.workers_never_ready,
        counts.workers_refused, counts.forced, dispatcher.backlog(), counts.hellos_malformed, counts.hellos_put_off,
        counts.surprises, counts.resends_asked, dispatcher.collector_synced(), dispatcher.collector(),
        seconds_or_null(dispatcher.collector_heard_at(), now), dispatcher.to_collector().unacknowledged(),
        dispatcher.to_collector().resent(), seconds_or_null(oldest_task(dispatcher.ledger()), now),
        seconds_or_null(oldest_attempt(dispatcher.ledger()), now));
    const char* comma = "";
    for (const auto& [session, worker] : dispatcher.roster().sessions()) {
        const SessionBooks& ends = *dispatcher.ledger().session(session);
        const auto of = [&](End end) { return ends.ends[static_cast<std::size_t>(end)]; };
        out += fmt::format(
            R"({}{{"name":{},"pool":{},"session":{},"state":"{}","pid":{},"incarnation":{},"slots":{},"slots_in_service":{},"credit":{},"credit_taken":{},"in_flight":{},"last_heard_s":{:.3f},"sent":{},)"
            R"("won":{},"late":{},"cancelled":{},"failed":{},"expired":{},"lost":{},"took":{{"count":{},"p50_us":{},"p99_us":{}}}}})",
            std::exchange(comma, ","), json_text(worker->name), json_text(worker->pool), session,
            name_of(worker->state), worker->pid, worker->worker, worker->slots,
            std::min(worker->slots, worker->slots_in_service), worker->credit, worker->in_flight, ends.open.size(),
            seconds(now - worker->last_heard), ends.last_number, of(End::won), of(End::late), of(End::cancelled),
            of(End::failed), of(End::expired), of(End::lost), worker->took.count(), micros(worker->took.quantile(0.5)),
            micros(worker->took.quantile(0.99)));
    }
    return out + "]";
}

namespace {

class BrokerDump : public LongReply {
public:
    BrokerDump(const Dispatcher& dispatcher, Instant now, DumpQuery query, std::string_view first_members)
        : LongReply(first_members), dispatcher_(dispatcher), now_(now), query_(std::move(query)) {
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
        const bool has_id = task != nullptr && task->id != nullptr;
        section.rows.push_back({number, attempt, task == nullptr ? kNever : task->deadline_at,
                                has_id ? std::make_unique<std::string>(*task->id) : nullptr});
    }

    void begin() override {
        expect(std::min(query_.limit, matching_) * kRowBytes);
        say(fmt::format(R"("in_flight":{},"matching":{},"groups":{},"attempts":[)", in_flight_, matching_,
                        groups_.json()));
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
        const Instant deadline_at = row.deadline_at;
        const bool called_home = attempt.state == AttemptState::cancelling;
        say(fmt::format(
            R"({}{{"seq":{},"id":{},"attempt":{},"session":{},"number":{},"worker":{},"pool":{},"state":"{}","age_s":{:.6f},"in_state_s":{},"left_s":{}}})",
            written_ == 0 ? "" : ",", attempt.seq,
            row.id == nullptr ? default_id(dispatcher_, attempt.seq) : json_text(*row.id), attempt.ordinal,
            section.session, row.number, section.worker.empty() ? "null" : json_text(section.worker),
            section.worker.empty() ? "null" : json_text(section.pool), name_of(attempt.state),
            seconds(now_ - attempt.started_at),
            called_home ? fmt::format("{:.6f}", std::max(0.0, seconds(now_ - attempt.cancelled_at))) : "null",
            deadline_at == kNever ? "null" : fmt::format("{:.6f}", seconds(deadline_at - now_))));
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

std::unique_ptr<Reply> broker_dump(const Dispatcher& dispatcher, Instant now, const DumpQuery& query,
                                   std::string_view first_members) {
    return std::make_unique<BrokerDump>(dispatcher, now, query, first_members);
}

std::string broker_ends(Dispatcher& dispatcher, Instant now, std::optional<std::uint64_t> after) {
    EndLog& log = dispatcher.end_log();
    const EndLog::Part part = log.follow(now, after);
    std::string out = fmt::format(R"("next":{},"missed":{},"ends":[)", part.last, part.missed);
    const char* comma = "";
    for (const EndLog::Entry& entry : part.entries) {
        const WorkerSession* worker = dispatcher.roster().find(entry.id.session);
        const std::string name = worker == nullptr ? entry.worker : worker->name;
        const bool called_home = entry.attempt.state == AttemptState::cancelling;
        fmt::format_to(
            std::back_inserter(out),
            R"({}{{"seq":{},"id":{},"attempt":{},"session":{},"number":{},"worker":{},"end":"{}","called_home":{},"hedge":{},"took_s":{:.6f},"ago_s":{:.6f},"error":{},"left_out":{}}})",
            std::exchange(comma, ","), entry.attempt.seq,
            entry.task_id.empty() ? default_id(dispatcher, entry.attempt.seq) : json_text(entry.task_id),
            entry.attempt.ordinal, entry.id.session, entry.id.number, name.empty() ? "null" : json_text(name),
            name_of(entry.end), called_home ? json_text(std::string(name_of(entry.attempt.reason))) : "null",
            entry.attempt.hedge, seconds(entry.ended_at - entry.attempt.started_at), seconds(now - entry.ended_at),
            entry.error.empty() ? "null" : json_text(entry.error), entry.left_out);
    }
    return out + "]";
}

}  // namespace curfew
