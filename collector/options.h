// The collector's flags.
#pragma once

#include <memory>
#include <string>

#include "collector/server.h"
#include "collector/sinks/sink.h"
#include "collector/sinks/table.h"
#include "common/process/options.h"

namespace curfew {

class CollectorOptions {
public:
    explicit CollectorOptions(Options& options);
    [[nodiscard]] CollectorServer::Config config(const Daemon& daemon) const;
    /// Throws std::invalid_argument (no such kind of sink), EndpointError.
    void check(const Daemon& daemon) const;
    /// Throws Unusable, EndpointError, std::system_error.
    [[nodiscard]] Sinks::Parts open_sinks(Daemon& daemon) const;

private:
    /// Throw std::invalid_argument, Unusable.
    void check_what_is_kept() const;
    void check_beside() const;
    [[nodiscard]] std::unique_ptr<Sink> open_sink(Daemon& daemon) const;
    /// Null where there is none.
    [[nodiscard]] std::unique_ptr<Sink> open_dead_letters(Daemon& daemon) const;
    [[nodiscard]] SinkFlags sink_flags() const;

    std::string sink_ = "stdout", format_ = "raw", dead_letters_, sync_, joblog_, results_dir_;
    bool journal_ = false, tag_ = false;
    amqp::Flags login_;  // at a queue server
    CollectorServer::Config config_;
};

}  // namespace curfew
