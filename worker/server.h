// The worker's shell: its sockets, its handler, its core. One thread (a handler may have more of
// its own).
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/process/daemon.h"
#include "common/process/log.h"
#include "common/process/outbox.h"
#include "common/process/running_page.h"
#include "worker/handlers/handler.h"
#include "worker/session.h"

namespace curfew {

class WorkerServer : public Shell {
public:
    struct Config {
        /// Name, endpoints, incarnation, pid are filled in here.
        WorkerCore::Config core;
        std::string broker, collector, tasks, control;  ///< endpoints; empty: in the run directory
    };
    WorkerServer(Daemon& daemon, const Config& config, std::unique_ptr<Handler> handler);

    void wait_for(Poller& poller) override;
    Duration heartbeat() const override { return core_.config().heartbeat; }
    void stood_still(Instant now, Duration) override { core_.stood_still(now); }
    Instant turn(Instant now) override;
    void stop(Instant now) override;
    void alone(Instant now) override { core_.broker_died(now); }
    void over() override;
    std::optional<int> finished() const override;
    int unfinished() const override;
    JsonObject stats(Instant now) const override;
    std::unique_ptr<Reply> dump(Instant now, const DumpQuery& query, const JsonObject& first) const override;
    JsonObject story(Instant now, const std::string& task) const override;
    JsonObject endpoints() const override;

private:
    /// Nothing runs any more but what no stop helps against.
    [[nodiscard]] bool work_has_stopped() const;
    /// Timers, ends and starts; then says what is to be said of them.
    void work(Instant now);
    [[nodiscard]] static WorkerCore::Config fill_in(Daemon& daemon, const Config& config, const Socket& tasks,
                                                    const Socket& control);

    std::unique_ptr<Handler> handler_;
    Socket tasks_;
    Socket control_;
    Outbox collector_;
    Socket broker_;
    RunningPage running_;
    WorkerCore core_;
    std::vector<Frame> for_collector_, for_broker_;
    Instant reports_at_{};  // not before: the next
    Instant lonely_since_ = kNever;
    log::Seldom lonely_log_;
    log::Growth malformed_log_;
    bool stopping_ = false;
    bool over_ = false;  // nobody is left to confirm what was reported
};

}  // namespace curfew
