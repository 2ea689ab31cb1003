// The broker's flags.
#pragma once

#include <memory>
#include <string>

#include "broker/server.h"
#include "broker/sources/source.h"
#include "broker/sources/table.h"
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
    void add_queue(Options& options);
    void check_queue(const Daemon& daemon) const;

    std::string source_ = "stdin", checkpoint_, command_;
    bool null_ = false;
    std::optional<std::uint64_t> attempts_;  // none: as many as the fanout
    std::string deadline_text_;              // as it was said; empty: the default
    QueueFlags queue_;
    BrokerServer::Config config_;  // the rest, with its defaults
};

}  // namespace curfew
