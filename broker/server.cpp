#include "broker/server.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <nlohmann/json.hpp>
#include <utility>

#include "broker/snapshot.h"
#include "broker/story_json.h"
#include "common/look/json_object.h"
#include "common/process/reading.h"
#include "common/process/running_page.h"
#include "common/words/exit_code.h"

namespace curfew {
namespace {

constexpr auto kLetsGo = std::chrono::milliseconds(100);  // a look at the source while it closes

Dispatcher::Config with_eyes(Daemon& daemon, Dispatcher::Config config) {
    config.what_ran = [dir = daemon.run_dir().path()](const std::string& name, Incarnation worker) {
        return read_running(dir, name, worker);
    };
    return config;
}

}  // namespace

BrokerServer::BrokerServer(Daemon& daemon, const Config& config, std::unique_ptr<Source> source)
    : daemon_(daemon),
      wish_(config.wish),
      checkpoint_(config.checkpoint.path.empty() ? nullptr : std::make_unique<Checkpoint>(config.checkpoint)),
      books_(daemon.run_dir().path() + "/books"),
      dispatcher_(begin(config)),
      intake_(dispatcher_, std::move(source), config.max_message, config.delay),
      events_(daemon.sockets().bind(zmq::socket_type::pull, config.events, "events", {})),
      admin_(daemon.sockets().bind(zmq::socket_type::rep, config.admin, "admin", {.send = 100, .receive = 100})),
      links_(daemon, dispatcher_, config.collector),
      ending_(daemon, dispatcher_, intake_, config.ending) {
    intake_.write(books_);
}

BrokerServer::~BrokerServer() {
    const std::string path = daemon_.run_dir().path() + "/broker.last.json";
    std::ofstream file(path + ".new");
    file << stats(Clock::now()).text() << '\n';
    file.close();
    // Nothing depends on it: where there is no room, nobody hears of what racing gave
    if (!file || std::rename((path + ".new").c_str(), path.c_str()) != 0) std::remove((path + ".new").c_str());
}

/// In the epoch of the life before, if it has left a checkpoint.
Dispatcher::Config BrokerServer::begin(const Config& config) {
    Dispatcher::Config all = with_eyes(daemon_, config.dispatcher);
    if (checkpoint_ == nullptr) return all;
    // What has not begun has nothing to try again
    std::string answered = wish_;
    if (const auto& found = checkpoint_->found()) {
        all.earlier.passed = found->passed;
        answered = found->wish;
        if (!wish_.empty() && wish_ != answered) all.earlier.again_in = all.epoch;
        IntervalSet settled;
        settled.insert(found->settled);
        settled.insert(found->passed);
        all.earlier.settled = settled.intervals();
        all.earlier.last = settled.next_missing(1) - 1;
        all.earlier.failures = found->failures;
        all.epoch = found->epoch;
        log::info("broker_goes_on epoch={} settled={} read_bytes={}", found->epoch, settled.size(), found->read);
    }
    checkpoint_->begin(all.epoch, all.earlier.passed, answered);
    return all;
}

/// What did not complete is tried again in an epoch of its own: nobody hears of it before it is on
/// the disk. With it goes that the wish is answered, also where there is nothing to try again: what
/// fails from here on is not meant.
void BrokerServer::keep_answer() {
    const Dispatcher::Config& config = dispatcher_.config();
    if (checkpoint_ == nullptr || wish_.empty() || wish_ == checkpoint_->wish() || config.earlier.again_in) return;
    const bool tries_again = checkpoint_->epoch() != config.epoch;
    checkpoint_->begin(config.epoch, config.earlier.passed, wish_);
    if (tries_again) log::info("tries_again epoch={} reason=\"what did not complete has new names\"", config.epoch);
}

void BrokerServer::keep_checkpoint(Instant now) {
    if (checkpoint_ == nullptr) return;
    checkpoint_->follow(intake_.position().byte);
    if (checkpoint_->is_due(now) || dispatcher_.drained()) {
        const Ledger& ledger = dispatcher_.ledger();
        checkpoint_->save(now, ledger.settled(), ledger.failures());
    }
}

void BrokerServer::wait_for(Poller& poller) {
    poller.add(events_);
    poller.add(admin_);
    intake_.wait_for(poller);
}

// ---- a turn ------------------------------------------------------------------------------------

Instant BrokerServer::turn(Instant now) {
    dispatcher_.end_log().turn(now);
    read_for_a_turn(events_, [&](std::string_view frame) { dispatcher_.receive(now, frame); });
    keep_answer();
    links_.flush();
    dispatcher_.flush_cancels(now, frames_);
    links_.send(now, frames_);
    answer_admin(now);
    dispatcher_.turn(now);
    const Instant ending_at = ending_.turn(now);
    intake_.take(now);
    if (!intake_.has_more()) dispatcher_.hedge_idle(now);
    ending_.note_settled(now);
    // Before anybody hears of them: if we die in between, they are in flight and not unheard of
    write_books();
    keep_checkpoint(now);
    const bool lets_go = dispatcher_.drained() && !intake_.finish(now);
    dispatcher_.flush(now, frames_);
    links_.send(now, frames_);
    links_.change(now);
    rates_.sample(now, counts());
    alarms_.say(now, dispatcher_);
    if (intake_.has_more()) return Instant::min();
    if (lets_go) return now + kLetsGo;
    return std::min({dispatcher_.next_deadline(), links_.next_deadline(now), ending_at, intake_.next_deadline()});
}

// ---- life --------------------------------------------------------------------------------------

void BrokerServer::process_ended(Instant now, const ProcessEnd& end) {
    end.died ? dispatcher_.worker_died(now, end.name, end.pid, end.lifeline)
             : dispatcher_.worker_left(now, end.name, end.pid, end.lifeline);
}

std::optional<int> BrokerServer::finished() const {
    if (!dispatcher_.broken().empty()) {
        log::error("not_understood record={} action=\"report this as a fault of curfew\"",
                   log::quoted(dispatcher_.broken()));
        return kExitImbalance;
    }
    if (ending_.left_at_once() && (dispatcher_.ledger().tasks_in_flight() > 0 || intake_.left_behind()))
        return unfinished();
    if (!dispatcher_.drained() || !intake_.finished()) return std::nullopt;
    if (!dispatcher_.ledger().books().balanced()) return kExitImbalance;
    return ending_.cut_short() > 0 || intake_.left_behind() ? kExitLeftBehind : kExitOk;
}

/// Of the messages, launch says it where there is one, from the books.
int BrokerServer::unfinished() const {
    const Ledger& ledger = dispatcher_.ledger();
    const std::uint64_t dropped = intake_.dropped();
    if (!daemon_.has_lifeline() && ledger.tasks_in_flight() + dropped > 0)
        log::warn("tasks_left in_flight={} first={} not_accepted={} action=\"give them again\"",
                  ledger.tasks_in_flight(), ledger.first_in_flight(), dropped);
    return kExitLeftBehind;
}

void BrokerServer::write_books() {
    const Books books = dispatcher_.ledger().books();
    books_[BooksPage::accepted] = books.accepted;
    books_[BooksPage::completed] = books.of(Outcome::completed);
    books_[BooksPage::failed] = books.of(Outcome::failed);
    books_[BooksPage::expired] = books.of(Outcome::expired);
    books_[BooksPage::cancelled] = books.of(Outcome::cancelled);
    books_[BooksPage::tasks_in_flight] = books.tasks_in_flight;
    books_[BooksPage::started] = books.started;
    books_[BooksPage::won] = books.of(End::won);
    books_[BooksPage::late] = books.of(End::late);
    books_[BooksPage::attempts_cancelled] = books.of(End::cancelled);
    books_[BooksPage::attempts_failed] = books.of(End::failed);
    books_[BooksPage::attempts_expired] = books.of(End::expired);
    books_[BooksPage::lost] = books.of(End::lost);
    books_[BooksPage::attempts_in_flight] = books.attempts_in_flight;
    intake_.write(books_);
    books_[BooksPage::first_in_flight] = dispatcher_.ledger().first_in_flight();
    books_[BooksPage::settled_before] = dispatcher_.ledger().earlier().count();
    books_[BooksPage::failures_before] = dispatcher_.ledger().earlier().failures();
    books_[BooksPage::intake_ended] = dispatcher_.intake_ended() ? 1 : 0;
    books_[BooksPage::workers_ready] = dispatcher_.roster().ready();
    books_[BooksPage::collector_synced] = dispatcher_.collector_synced() ? 1 : 0;
    ending_.write(books_);
}

// ---- admin -------------------------------------------------------------------------------------

void BrokerServer::answer_admin(Instant now) {
    std::string_view request;
    for (int i = 0; i < 64 && admin_.receive(request); ++i) (void)admin_.send(obey(now, request).text());
}

JsonObject BrokerServer::obey(Instant now, std::string_view request) {
    const auto json = nlohmann::json::parse(request, nullptr, false);
    const std::string verb =
        json.is_object() && json.contains("do") && json["do"].is_string() ? json["do"].get<std::string>() : "";
    JsonObject said;
    if (verb == "drain") {
        drain(now);
        said.add("ok", true);
    } else if (verb == "pause" || verb == "resume") {
        dispatcher_.pause(verb == "pause");
        said.add("ok", true);
    } else if (verb == "cancel" && json.contains("seq") && json["seq"].is_number_unsigned()) {
        const auto seq = json["seq"].get<Seq>();
        const bool in_flight = dispatcher_.ledger().task(seq) != nullptr;
        const bool done = dispatcher_.cancel_task(now, seq);
        said.add("ok", done);
        if (!done) said.add("reason", in_flight ? "it has its outcome already" : "there is no such task in flight");
    } else {
        return said.add("error", R"(say {"do":"drain"}, "pause", "resume" or {"do":"cancel","seq":N})");
    }
    return said.add("tasks_in_flight", dispatcher_.ledger().tasks_in_flight());
}

// ---- looking -----------------------------------------------------------------------------------

Rates<3>::Counts BrokerServer::counts() const {
    const Books books = dispatcher_.ledger().books();
    return {books.accepted, books.accepted - books.tasks_in_flight, books.started};
}

JsonObject BrokerServer::stats(Instant now) const {
    const auto rates = rates_.per_second(now, counts());
    const auto rounded = [](double rate) { return std::round(rate * 10) / 10; };
    JsonObject out = broker_stats(dispatcher_, now);
    out.add("source", intake_.json(now))
        .add("outboxes", links_.json())
        .add("rates", JsonObject()
                          .add("accepted_per_s", rounded(rates[0]))
                          .add("settled_per_s", rounded(rates[1]))
                          .add("started_per_s", rounded(rates[2])))
        .add("draining", ending_.draining())
        .add("halted", ending_.halted())
        .add("paused", dispatcher_.paused())
        .add("settled_for_s", ending_.settled_for(now));
    return out;
}

std::unique_ptr<Reply> BrokerServer::dump(Instant now, const DumpQuery& query, const JsonObject& first) const {
    return broker_dump(dispatcher_, now, query, first);
}

JsonObject BrokerServer::ends(Instant now, std::optional<std::uint64_t> after) {
    return broker_ends(dispatcher_, now, after);
}

JsonObject BrokerServer::story(Instant now, const std::string& task) const {
    return broker_story(dispatcher_, now, Clock::wall_us(now), task);
}

JsonObject BrokerServer::endpoints() const {
    JsonObject out;
    out.add("events", events_.endpoint()).add("admin", admin_.endpoint());
    if (!intake_.endpoint().empty()) out.add("source", intake_.endpoint());
    return out;
}

}  // namespace curfew
