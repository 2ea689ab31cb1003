// The public entry: a worker process around a function.
#include "worker/run_worker.h"
#include "common/process/daemon.h"
#include "curfew/worker.h"
#include "worker/options.h"

#include <fmt/format.h>
#include <unistd.h>

namespace curfew {

int run_worker(int argc, char** argv, Function function) {
    return run_worker_process(argc, argv, std::move(function), {});
}

int run_worker_process(int argc, char** argv, Function function, std::span<const HandlerKind> kinds) {
    Daemon daemon("worker", "Does the work: takes attempts from the broker, obeys cancels, reports to the collector.");
    daemon.set_default_name(fmt::format("worker-{}", getpid()));
    WorkerOptions options(daemon.options(), kinds);
    const auto check = [&] { options.check(daemon); };
    return daemon.run(argc, argv, check, [&] {
        auto handler = options.make_handler(daemon, std::move(function));
        return std::make_unique<WorkerServer>(daemon, options.config(), std::move(handler));
    });
}

}  // namespace curfew
