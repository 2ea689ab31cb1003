// The broker's shell: it joins the source (intake), the sockets (links) and the books page to the
// dispatcher, and leads a drain or a stop to its end. One thread.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "broker/alarms.h"
#include "broker/books_page.h"
#include "broker/dispatcher.h"
#include "broker/intake.h"
#include "broker/links.h"
#include "broker/sources/source.h"
#include "common/process/daemon.h"
#include "common/tables/rate.h"

namespace curfew {

class BrokerServer : public Shell {
public:
    struct Config {
        Dispatcher::Config dispatcher;
        /// Of the source, for what is said of a message that is longer.
        std::uint64_t max_message = 1 << 20;
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
    JsonObject stats(Instant now) const override;
    std::unique_ptr<Reply> dump(Instant now, const DumpQuery& query, const JsonObject& first) const override;
    JsonObject ends(Instant now, std::optional<std::uint64_t> after) override;
    JsonObject endpoints() const override;

private:
    void end_drain(Instant now);
    void note_settled(Instant now);
    void write_books();
    void answer_admin(Instant now);
    [[nodiscard]] JsonObject obey(Instant now, std::string_view request);
    [[nodiscard]] Rates<3>::Counts counts() const;

    Daemon& daemon_;
    BooksPage books_;  // before any socket: who has none here must not take those of who has
    Dispatcher dispatcher_;
    Intake intake_;
    Socket events_;
    Socket admin_;
    Links links_;
    Alarms alarms_;
    std::vector<Dispatcher::OutFrame> frames_;
    Rates<3> rates_;  // tasks accepted, tasks settled, attempts started
    const std::optional<Duration> drain_timeout_;
    Instant drain_ends_at_ = kNever;
    std::uint64_t cut_short_ = 0;     // tasks that a drain had no more time for
    Instant settled_since_ = kNever;  // the intake has ended, and every task has its outcome
    bool draining_ = false;
    bool stopping_ = false;
};

}  // namespace curfew
