// The worker's flags, and the handler they ask for.
#pragma once

#include <memory>
#include <string>

#include "common/process/kinds.h"
#include "curfew/worker.h"
#include "worker/handlers/table.h"
#include "worker/server.h"

namespace curfew {

class WorkerOptions {
public:
    /// `own_function`: the program brings its work; there is no --handler.
    WorkerOptions(Options& options, bool own_function);
    [[nodiscard]] WorkerServer::Config config() const;
    /// Throws std::invalid_argument (no such handler), Unusable (a command that cannot run),
    /// EndpointError.
    void check(const Daemon& daemon) const;
    /// Throws std::invalid_argument, std::system_error.
    [[nodiscard]] std::unique_ptr<Handler> make_handler(const Daemon& daemon, Function function) const;

private:
    void add_work(Options& options);
    /// Throws std::invalid_argument.
    [[nodiscard]] Chosen<HandlerKind> chosen() const;
    [[nodiscard]] HandlerFlags flags() const;
    [[nodiscard]] Slot slots() const;

    const bool own_function_;
    std::string handler_ = "exec";
    std::uint64_t slots_ = 0;   // 0: not said
    std::uint64_t credit_ = 0;  // 0: not said
    Duration heartbeat_ = std::chrono::seconds(1);
    HandlerFlags flags_;
    WorkerServer::Config endpoints_;
};

}  // namespace curfew
