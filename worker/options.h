// The worker's flags, and the handler they ask for.
#pragma once

#include <memory>
#include <span>
#include <string>

#include "common/process/kinds.h"
#include "curfew/worker.h"
#include "worker/handlers/table.h"
#include "worker/server.h"

namespace curfew {

class WorkerOptions {
public:
    /// `kinds`: what --handler chooses from. None: the program brings its work, and there is no
    /// --handler.
    WorkerOptions(Options& options, std::span<const HandlerKind> kinds);
    [[nodiscard]] WorkerServer::Config config() const;
    /// Throws std::invalid_argument (no such handler), Unusable (a command that cannot run),
    /// EndpointError.
    void check(const Daemon& daemon) const;
    /// Throws std::invalid_argument, std::system_error.
    [[nodiscard]] std::unique_ptr<Handler> make_handler(const Daemon& daemon, Function function) const;

private:
    void add_work(Options& options);
    void check_flags(const HandlerKind& kind) const;
    /// Throws std::invalid_argument.
    [[nodiscard]] Chosen<HandlerKind> chosen() const;
    [[nodiscard]] HandlerFlags flags() const;
    [[nodiscard]] Slot slots() const;
    [[nodiscard]] std::string pool() const;

    const Options& options_;
    const std::span<const HandlerKind> kinds_;
    std::string handler_ = "exec";
    std::uint64_t slots_ = 0;   // 0: not said
    std::uint64_t credit_ = 0;  // 0: not said
    std::string report_ = "plain";
    Duration heartbeat_ = std::chrono::seconds(1);
    HandlerFlags flags_;
    WorkerServer::Config endpoints_;
};

}  // namespace curfew
