// The collector's shell: the results socket, the sink, the way back to the broker. One thread.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "collector/judge.h"
#include "collector/sinks/sinks.h"
#include "common/process/daemon.h"
#include "common/process/log.h"
#include "common/process/outbox.h"

namespace curfew {

class CollectorServer : public Shell {
public:
    struct Config {
        bool keep_order = false;
        /// Tasks that did not complete go to the log: no sink has a place for them.
        bool says_failures = true;
        Duration heartbeat = std::chrono::seconds(1);
        Duration grace = std::chrono::seconds(1);
        std::string results, broker;  ///< endpoints; empty: in the run directory
    };
    CollectorServer(Daemon& daemon, const Config& config, Sinks::Parts sinks);

    void wait_for(Poller& poller) override;
    Duration heartbeat() const override { return config_.heartbeat; }
    Instant turn(Instant now) override;
    void stop(Instant now) override;
    void over() override { over_ = true; }
    std::optional<int> finished() const override;
    int unfinished() const override;
    JsonObject stats(Instant now) const override;
    std::unique_ptr<Reply> dump(Instant now, const DumpQuery& query, const JsonObject& first) const override;
    JsonObject endpoints() const override;

private:
    void judge(Instant now);
    void write_outcomes(Instant now);
    void say_failure(const OutcomeRecord& outcome) const;
    [[nodiscard]] bool has_said_all(Instant now) const;

    Config config_;
    Judge judge_;
    Sinks sinks_;
    Socket results_;
    Outbox broker_;
    std::vector<Frame> frames_;
    Sink::Written written_;
    std::uint64_t syncs_ = 0;  ///< the judge's, at the last turn
    log::Growth malformed_log_;
    log::Seldom complaint_log_{std::chrono::seconds(1)};
    Instant stop_by_ = kNever;  ///< when the process ends at the latest, once it was told to
    bool stopping_ = false;
    bool closing_ = false;  // the sinks are: nothing more is judged
    bool closed_ = false;
    bool over_ = false;  // nobody is left to acknowledge what was said
};

}  // namespace curfew
