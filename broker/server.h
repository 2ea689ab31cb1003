// The broker's shell: it owns the sockets and the source, and turns what the dispatcher says into
// sends. One thread.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "broker/books_page.h"
#include "broker/dispatcher.h"
#include "broker/sources/source.h"
#include "common/process/daemon.h"
#include "common/process/log.h"
#include "common/process/outbox.h"
#include "common/tables/rate.h"

namespace curfew {

class BrokerServer : public Shell {
public:
    struct Config {
        Dispatcher::Config dispatcher;
        /// Of the source, for what is said of a message that is longer.
        std::uint64_t max_message = 0;
        /// none: a drain has all the time that its work takes.
        std::optional<Duration> drain_timeout;
        std::string events, collector, admin;  ///< endpoints; empty: in the run directory
    };
    BrokerServer(Daemon& daemon, const Config& config, std::unique_ptr<Source> source);

    void wait_for(Poller& poller) override;
    Duration heartbeat() const override { return dispatcher_.config().heartbeat; }
    Instant turn(Instant now) override;
    void stop(Instant now) override;
    void drain(Instant now) override;
    bool drains() const override { return true; }
    void process_ended(Instant now, const ProcessEnd& end) override;
    std::optional<int> finished() const override;
    int unfinished() const override;
    std::string stats_members(Instant now) const override;
    std::unique_ptr<Reply> dump(Instant now, const DumpQuery& query, std::string_view first_members) const override;
    std::string ends_members(Instant now, std::optional<std::uint64_t> after) override;
    std::string ready_members() const override;

private:
    struct WorkerLinks {
        Outbox tasks;
        Outbox control;
    };

    void take_messages(Instant now);
    void refuse(Instant now, RefusedMessage message);
    void send_frames(Instant now);
    void change_links(Instant now);
    void open_links(Instant now, const Dispatcher::LinkChange& change);
    void say_who_is_refused(Instant now);
    void send(Dispatcher::OutFrame& frame);
    void flush_outboxes();
    void answer_admin(Instant now);
    [[nodiscard]] std::string obey(Instant now, std::string_view request);
    void hang_up(Instant now);
    void say_what_is_left() const;
    void end_drain(Instant now);
    void note_settled(Instant now);
    void write_books();
    [[nodiscard]] Rates<3>::Counts counts() const;
    void say_what_is_missing(Instant now);
    void say_who_does_not_write(Instant now);

    Daemon& daemon_;
    BooksPage books_;  // before any socket: who has none here must not take those of who has
    Dispatcher dispatcher_;
    std::unique_ptr<Source> source_;
    std::optional<Duration> drain_timeout_;
    Instant drain_ends_at_ = kNever;
    std::uint64_t max_message_;
    std::uint64_t refused_ = 0;       // messages, each with its outcome
    std::uint64_t cut_short_ = 0;     // tasks that a drain had no more time for
    std::optional<Rest> rest_;        // of the source, once no more is taken from it
    Instant hang_up_at_ = kNever;     // next, while a source without an end is left
    Instant settled_since_ = kNever;  // the intake has ended, and every task has its outcome
    Socket events_;
    Socket admin_;
    Outbox collector_;
    std::map<Session, WorkerLinks> workers_;
    std::vector<Dispatcher::OutFrame> frames_;
    Rates<3> rates_;  // tasks accepted, tasks settled, attempts started
    bool draining_ = false;
    bool stopping_ = false;
    Instant waiting_since_ = kNever;
    Instant unwritten_since_ = kNever;  // what the source waits for, while messages are wanted
    bool said_unwritten_ = false;
    log::Seldom missing_log_, peer_log_;
    log::Seldom complaint_log_{std::chrono::seconds(1)};
    log::Growth refused_log_, malformed_log_, hello_log_, put_off_log_;
};

}  // namespace curfew
