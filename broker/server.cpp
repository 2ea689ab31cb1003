#include "broker/server.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "broker/snapshot.h"
#include "common/look/json_text.h"
#include "common/process/reading.h"
#include "common/process/running_page.h"
#include "common/words/exit_code.h"

namespace curfew {
namespace {

using Road = Dispatcher::Road;

/// Alarms behind the credits; reached only when a peer stands still.
constexpr int kSendMark = 1000;

/// What the two sockets of a session take in descriptors: each its own, and a connection.
constexpr std::size_t kDescriptorsOfLinks = 4;
/// How collector and first worker come to us.
constexpr std::size_t kDescriptorsOfFirstPeers = 4;
/// Not for sessions: connections that come, a look at the process, the page of a worker that died.
constexpr std::size_t kSpareDescriptors = 16;

Dispatcher::Config with_eyes(Daemon& daemon, Dispatcher::Config config) {
    config.what_ran = [dir = daemon.run_dir().path()](const std::string& name, Incarnation worker) {
        return read_running(dir, name, worker);
    };
    return config;
}

}  // namespace

BrokerServer::BrokerServer(Daemon& daemon, const Config& config, std::unique_ptr<Source> source)
    : daemon_(daemon),
      books_(daemon.run_dir().path() + "/books"),
      dispatcher_(with_eyes(daemon, config.dispatcher)),
      source_(std::move(source)),
      drain_timeout_(config.drain_timeout),
      max_message_(config.max_message),
      events_(daemon.bind(zmq::socket_type::pull, config.events, "events", {})),
      admin_(daemon.bind(zmq::socket_type::rep, config.admin, "admin", {.send = 100, .receive = 100})),
      collector_(daemon.connect(zmq::socket_type::push, config.collector, "results", {.send = kSendMark}),
                 Outbox::kRepeated) {
    books_[BooksPage::input_total] = source_->bytes_total();
    if (!can_open(kDescriptorsOfFirstPeers + kSpareDescriptors + kDescriptorsOfLinks))
        throw Unusable(kExitIo, "not enough descriptors (ulimit -n) for even one worker: allow 64 or more");
}

void BrokerServer::wait_for(Poller& poller) {
    poller.add(events_);
    poller.add(admin_);
    if (dispatcher_.wants_message()) source_->wait_for(poller);
}

// ---- a turn ------------------------------------------------------------------------------------

Instant BrokerServer::turn(Instant now) {
    dispatcher_.end_log().turn(now);
    read_for_a_turn(events_, [&](std::string_view frame) { dispatcher_.receive(now, frame); });
    flush_outboxes();
    dispatcher_.flush_cancels(now, frames_);
    send_frames(now);
    answer_admin(now);
    dispatcher_.turn(now);
    end_drain(now);
    hang_up(now);
    take_messages(now);
    note_settled(now);
    // Before anybody hears of them: if we die in between, they are in flight and not unheard of
    write_books();
    dispatcher_.flush(now, frames_);
    send_frames(now);
    change_links(now);
    rates_.sample(now, counts());
    say_who_is_refused(now);
    say_what_is_missing(now);
    say_who_does_not_write(now);
    if (dispatcher_.wants_message() && source_->has_buffered()) return Instant::min();
    Instant next = std::min({dispatcher_.next_deadline(), collector_.next_deadline(now), drain_ends_at_, hang_up_at_});
    for (auto& [session, links] : workers_)
        next = std::min({next, links.tasks.next_deadline(now), links.control.next_deadline(now)});
    return next;
}

void BrokerServer::take_messages(Instant now) {
    if (const auto tags = dispatcher_.take_settled_tags(); !tags.empty()) source_->settled(tags);
    Incoming message;
    while (dispatcher_.wants_message()) {
        if (source_->next(message)) {
            dispatcher_.accept(now, message);
        } else if (auto refusal = source_->take_refusal()) {
            refuse(now, std::move(*refusal));
        } else {
            break;
        }
    }
    if (source_->ended()) dispatcher_.end_intake();
    if (const std::uint64_t count = refused_log_.grown(now, source_->refused()))
        log::warn("message_refused count={} reason=\"over --max-message\"", count);
}

void BrokerServer::refuse(Instant now, RefusedMessage message) {
    ++refused_;
    const std::string place = message.byte ? fmt::format("line {}, byte offset {}", message.number, *message.byte)
                                           : fmt::format("frame {}", message.number);
    const std::string why =
        fmt::format("refused: {}, {} bytes, over --max-message {}", place, message.size, max_message_);
    dispatcher_.refuse_message(now, std::move(message), why);
}

void BrokerServer::send_frames(Instant now) {
    if (frames_.empty()) return;
    // Sockets of new sessions first: their welcome may be among the frames.
    change_links(now);
    for (Dispatcher::OutFrame& frame : frames_) send(frame);
    frames_.clear();
}

void BrokerServer::send(Dispatcher::OutFrame& frame) {
    if (frame.road == Road::collector) {
        collector_.send(std::move(frame.bytes));
        return;
    }
    // Several get the same without a copy.
    std::optional<SharedFrame> shared;
    if (frame.sessions.size() > 1) shared.emplace(std::move(frame.bytes));
    for (const Session session : frame.sessions) {
        const auto at = workers_.find(session);
        if (at == workers_.end()) continue;
        Outbox& outbox = frame.road == Road::tasks ? at->second.tasks : at->second.control;
        if (!(shared ? outbox.send(*shared) : outbox.send(std::move(frame.bytes))))
            dispatcher_.set_blocked(session, frame.road, true);
    }
}

void BrokerServer::change_links(Instant now) {
    for (const auto& change : dispatcher_.take_link_changes()) {
        change.open ? open_links(now, change) : (void)workers_.erase(change.session);
    }
}

void BrokerServer::open_links(Instant now, const Dispatcher::LinkChange& change) {
    try {
        if (!can_open(kSpareDescriptors + kDescriptorsOfLinks)) throw EndpointError("out of descriptors (ulimit -n)");
        const Socket::Marks marks{.send = kSendMark, .linger = Duration::zero()};
        workers_.emplace(
            change.session,
            WorkerLinks{Outbox(daemon_.connect_to_peer(zmq::socket_type::push, change.tasks_endpoint, marks)),
                        Outbox(daemon_.connect_to_peer(zmq::socket_type::push, change.control_endpoint, marks))});
    } catch (const std::exception& error) {
        if (peer_log_.now(now))
            log::warn("worker_unreachable session={} error={} next=\"its next hello is a new try\"", change.session,
                      log::quoted(error.what()));
        dispatcher_.unreachable(now, change.session);
    }
}

void BrokerServer::flush_outboxes() {
    collector_.flush();
    for (auto& [session, links] : workers_) {
        if (!links.tasks.empty() && links.tasks.flush()) dispatcher_.set_blocked(session, Road::tasks, false);
        if (!links.control.empty() && links.control.flush()) dispatcher_.set_blocked(session, Road::control, false);
    }
}

// ---- life --------------------------------------------------------------------------------------

void BrokerServer::drain(Instant now) {
    if (std::exchange(draining_, true)) return;
    log::info("draining tasks={}", dispatcher_.ledger().tasks_in_flight());
    rest_ = source_->rest();
    if (stopping_ || rest_->kind != Rest::Kind::endless) dispatcher_.end_intake();
    say_what_is_left();
    if (drain_timeout_) drain_ends_at_ = now + *drain_timeout_;
}

/// What a source without an end has already is finished too: its producers could not give it to
/// anybody else.
void BrokerServer::hang_up(Instant now) {
    if (!draining_) return;
    const bool was_open = std::exchange(hang_up_at_, source_->hang_up(now)) != kNever;
    // What nobody takes is left
    if (hang_up_at_ == kNever && dispatcher_.paused()) dispatcher_.end_intake();
    if (was_open && hang_up_at_ == kNever && source_->left() > 0 && !dispatcher_.intake_ended())
        log::info("source_closed messages_kept={} note=\"they are finished too\"", source_->left());
}

/// What a drain has no more time for ends as if a person had cancelled it.
void BrokerServer::end_drain(Instant now) {
    if (now < drain_ends_at_) return;
    drain_ends_at_ = kNever;
    dispatcher_.end_intake();
    const double seconds = std::chrono::duration<double>(*drain_timeout_).count();
    cut_short_ = dispatcher_.cancel_all(now, fmt::format("the drain was over (--drain-timeout {}s)", seconds));
    if (cut_short_ > 0) log::warn("drain_timeout tasks_cancelled={}", cut_short_);
}

/// Launch, where there is one, says it at the end, from the books.
void BrokerServer::say_what_is_left() const {
    if (daemon_.has_lifeline() || rest_->kind == Rest::Kind::none) return;
    if (rest_->kind == Rest::Kind::endless) {
        log::info("source_has_no_end note=\"what its producers have not had accepted is not known here\"");
        return;
    }
    const auto known = [](std::optional<std::uint64_t> count) { return count ? std::to_string(*count) : "unknown"; };
    log::warn("input_left messages={} bytes={} go_on_at_{}={} go_on_at_byte={}", known(rest_->messages),
              known(rest_->bytes), rest_->kind == Rest::Kind::lines ? "line" : "message", rest_->message, rest_->byte);
}

void BrokerServer::stop(Instant now) {
    stopping_ = true;
    drain(now);
    dispatcher_.end_intake();
}

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
    if (!dispatcher_.drained()) return std::nullopt;
    if (!dispatcher_.ledger().books().balanced()) return kExitImbalance;
    const bool dropped = rest_ && rest_->kind == Rest::Kind::endless && source_->left() > 0;
    return cut_short_ > 0 || dropped || (rest_ && rest_->left()) ? kExitLeftBehind : kExitOk;
}

/// Of the messages, launch says it where there is one, from the books.
int BrokerServer::unfinished() const {
    const Ledger& ledger = dispatcher_.ledger();
    const std::uint64_t dropped = rest_ && rest_->kind == Rest::Kind::endless ? source_->left() : 0;
    if (!daemon_.has_lifeline() && ledger.tasks_in_flight() + dropped > 0)
        log::warn("tasks_left in_flight={} first={} not_accepted={} action=\"give them again\"",
                  ledger.tasks_in_flight(), ledger.first_in_flight(), dropped);
    return kExitLeftBehind;
}

/// From here on attempts alone keep the broker: those whose work does not stop.
void BrokerServer::note_settled(Instant now) {
    if (!dispatcher_.intake_ended() || dispatcher_.ledger().tasks_in_flight() > 0) {
        settled_since_ = kNever;
    } else if (settled_since_ == kNever) {
        settled_since_ = now;
    }
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
    books_[BooksPage::input_read] = source_->bytes_read();
    books_[BooksPage::refused] = refused_;
    books_[BooksPage::left] = source_->left();
    const Rest rest = rest_.value_or(source_->position());
    books_[BooksPage::rest] = static_cast<std::uint64_t>(rest.kind);
    books_[BooksPage::rest_message] = rest.message;
    books_[BooksPage::rest_byte] = rest.byte;
    books_[BooksPage::rest_messages] = rest.messages.value_or(BooksPage::kUnknown);
    books_[BooksPage::rest_bytes] = rest.bytes.value_or(BooksPage::kUnknown);
    books_[BooksPage::cut_short] = cut_short_;
    books_[BooksPage::first_in_flight] = dispatcher_.ledger().first_in_flight();
    books_[BooksPage::intake_ended] = dispatcher_.intake_ended() ? 1 : 0;
    books_[BooksPage::workers_ready] = dispatcher_.roster().ready();
    books_[BooksPage::collector_synced] = dispatcher_.collector_synced() ? 1 : 0;
    books_[BooksPage::state] = dispatcher_.drained() ? BooksPage::drained
                               : stopping_           ? BooksPage::stopped
                                                     : BooksPage::running;
}

void BrokerServer::say_who_is_refused(Instant now) {
    const Dispatcher::Counts& counts = dispatcher_.counts();
    log::malformed(malformed_log_, now, counts.malformed - counts.hellos_malformed);
    if (const std::string complaint = dispatcher_.take_complaint(); !complaint.empty() && complaint_log_.now(now))
        log::error("peer_wrong what={} workers_refused={}", log::quoted(complaint), counts.workers_refused);
    if (const std::uint64_t more = hello_log_.grown(now, counts.hellos_malformed))
        log::warn("hellos_refused count={} worker={} wrong={}", more, log::quoted(dispatcher_.wrong_hello().name),
                  log::quoted(dispatcher_.wrong_hello().what));
    if (const std::uint64_t more = put_off_log_.grown(now, counts.hellos_put_off))
        log::info("hellos_put_off count={} reason=\"as many sessions as may be are not ready yet\"", more);
}

/// It waits, and says so: for a collector, or for a worker.
void BrokerServer::say_what_is_missing(Instant now) {
    const bool collector_missing = !dispatcher_.collector_synced() || dispatcher_.collector_silent(now);
    if (!collector_missing && dispatcher_.roster().ready() > 0) {
        waiting_since_ = kNever;
        return;
    }
    if (waiting_since_ == kNever) waiting_since_ = now;
    if (now - waiting_since_ < std::chrono::seconds(2) || dispatcher_.drained() || !missing_log_.now(now)) return;
    log::warn("waiting for={} tasks_in_flight={}", collector_missing ? "collector" : "workers",
              dispatcher_.ledger().tasks_in_flight());
}

/// Once: it may be meant so.
void BrokerServer::say_who_does_not_write(Instant now) {
    const std::string what = dispatcher_.wants_message() ? source_->waits_for() : std::string();
    if (what.empty()) {
        unwritten_since_ = kNever;
        return;
    }
    if (unwritten_since_ == kNever) unwritten_since_ = now;
    if (now - unwritten_since_ < std::chrono::seconds(2) || std::exchange(said_unwritten_, true)) return;
    log::warn("waiting for={}", log::quoted(what));
}

// ---- admin -------------------------------------------------------------------------------------

void BrokerServer::answer_admin(Instant now) {
    std::string_view request;
    for (int i = 0; i < 64 && admin_.receive(request); ++i) (void)admin_.send(obey(now, request));
}

std::string BrokerServer::obey(Instant now, std::string_view request) {
    const auto json = nlohmann::json::parse(request, nullptr, false);
    const std::string verb =
        json.is_object() && json.contains("do") && json["do"].is_string() ? json["do"].get<std::string>() : "";
    if (verb == "drain") {
        drain(now);
    } else if (verb == "pause" || verb == "resume") {
        dispatcher_.pause(verb == "pause");
    } else if (verb == "cancel" && json.contains("seq") && json["seq"].is_number_unsigned()) {
        const auto seq = json["seq"].get<Seq>();
        const bool in_flight = dispatcher_.ledger().task(seq) != nullptr;
        const bool done = dispatcher_.cancel_task(now, seq);
        const std::string_view reason = !in_flight ? "there is no such task in flight" : "it has its outcome already";
        return fmt::format(R"({{"ok":{}{},"tasks_in_flight":{}}})", done,
                           done ? "" : fmt::format(R"(,"reason":"{}")", reason),
                           dispatcher_.ledger().tasks_in_flight());
    } else {
        return R"({"error":"say {\"do\":\"drain\"}, \"pause\", \"resume\" or {\"do\":\"cancel\",\"seq\":N}"})";
    }
    return fmt::format(R"({{"ok":true,"tasks_in_flight":{}}})", dispatcher_.ledger().tasks_in_flight());
}

// ---- looking -----------------------------------------------------------------------------------

Rates<3>::Counts BrokerServer::counts() const {
    const Books books = dispatcher_.ledger().books();
    return {books.accepted, books.accepted - books.tasks_in_flight, books.started};
}

std::string BrokerServer::stats_members(Instant now) const {
    const auto rates = rates_.per_second(now, counts());
    const std::string settled_for =
        settled_since_ == kNever ? "null"
                                 : fmt::format("{:.3f}", std::chrono::duration<double>(now - settled_since_).count());
    std::uint64_t parked = collector_.parked(), marks = collector_.marks_reached();
    for (const auto& [session, links] : workers_) {
        parked += links.tasks.parked() + links.control.parked();
        marks += links.tasks.marks_reached() + links.control.marks_reached();
    }
    return broker_stats(dispatcher_, now) +
           fmt::format(
               R"(,"source":{{"refused":{},"bytes_read":{},"ended":{},"waits_for":{}}},"outboxes":{{"parked":{},"marks_reached":{}}},)"
               R"("rates":{{"accepted_per_s":{:.1f},"settled_per_s":{:.1f},"started_per_s":{:.1f}}},"draining":{},"paused":{},"settled_for_s":{})",
               source_->refused(), source_->bytes_read(), source_->ended(), json_text(source_->waits_for()), parked,
               marks, rates[0], rates[1], rates[2], draining_, dispatcher_.paused(), settled_for);
}

std::unique_ptr<Reply> BrokerServer::dump(Instant now, const DumpQuery& query, std::string_view first_members) const {
    return broker_dump(dispatcher_, now, query, first_members);
}

std::string BrokerServer::ends_members(Instant now, std::optional<std::uint64_t> after) {
    return broker_ends(dispatcher_, now, after);
}

std::string BrokerServer::ready_members() const {
    std::string members = fmt::format(R"(,"events":{},"admin":{})", nlohmann::json(events_.endpoint()).dump(),
                                      nlohmann::json(admin_.endpoint()).dump());
    if (!source_->endpoint().empty()) members += R"(,"source":)" + nlohmann::json(source_->endpoint()).dump();
    return members;
}

}  // namespace curfew
