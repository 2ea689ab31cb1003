// The worker's flags, and the handler they ask for.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "curfew/worker.h"
#include "worker/server.h"

namespace curfew {

class WorkerOptions {
public:
    /// `own_function`: the program brings its work; there is no --handler.
    WorkerOptions(Options& options, bool own_function);
    [[nodiscard]] WorkerServer::Config config() const;
    /// Throws std::invalid_argument (no such handler), Unusable (a command that cannot run), EndpointError.
    void check(const Daemon& daemon) const;
    /// Throws std::invalid_argument, std::system_error.
    [[nodiscard]] std::unique_ptr<Handler> make_handler(const Daemon& daemon, Function function) const;

private:
    [[nodiscard]] std::unique_ptr<Handler> make_exec(const Daemon& daemon) const;
    /// Throws std::invalid_argument where --handler has no meaning.
    [[nodiscard]] std::function<std::unique_ptr<Handler>()> named() const;
    [[nodiscard]] Slot slots() const;

    std::string handler_ = "exec";
    std::uint64_t slots_ = 0;  // 0: not said
    std::uint64_t credit_ = 0;
    std::string pool_ = "default";
    Duration heartbeat_ = std::chrono::seconds(1);
    std::uint64_t max_output_ = 1 << 20;
    std::vector<int> ok_exit_{0};
    std::vector<int> reject_exit_;
    std::string stdin_form_ = "exact";
    std::string placeholder_ = "{}";
    std::vector<std::string> command_;
    WorkerServer::Config endpoints_;
};

}  // namespace curfew
