// The broker's flags.
#pragma once

#include <memory>
#include <string>

#include "broker/server.h"
#include "broker/sources/source.h"
#include "common/process/options.h"

namespace curfew {

class BrokerOptions {
public:
    explicit BrokerOptions(Options& options);
    [[nodiscard]] BrokerServer::Config config(Incarnation incarnation) const;
    /// Throws std::invalid_argument (no such kind of source), Unusable (a missing file),
    /// EndpointError.
    void check(const Daemon& daemon) const;
    /// Throws Unusable, EndpointError, std::system_error.
    [[nodiscard]] std::unique_ptr<Source> open_source(Daemon& daemon) const;

private:
    void add_hedging(Options& options);
    void add_times(Options& options);
    void add_failures(Options& options);
    void add_limits(Options& options);

    std::string source_ = "stdin";
    bool null_ = false;
    std::uint64_t max_message_ = 1 << 20;
    std::uint64_t fanout_ = 2;
    std::optional<std::uint64_t> attempts_;
    std::uint64_t poison_ = 3;
    std::uint64_t window_ = 4096;
    std::uint64_t await_workers_ = 0;
    std::uint64_t backlog_bytes_ = 64ULL << 20;
    std::uint64_t window_bytes_ = 256ULL << 20;
    std::optional<Duration> deadline_ = std::chrono::seconds(30);
    std::string deadline_text_;  // as it was said; empty: the default
    std::optional<Duration> drain_timeout_;
    Duration heartbeat_ = std::chrono::seconds(1);
    Hedging::Config hedging_;
    std::string events_, collector_, admin_;
};

}  // namespace curfew
