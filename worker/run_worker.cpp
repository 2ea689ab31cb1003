// The public entry: a worker process around a function. curfew-worker is the same without one.
#include "common/process/daemon.h"
#include "curfew/worker.h"
#include "worker/options.h"

#include <fmt/format.h>
#include <unistd.h>

namespace curfew {

int run_worker(int argc, char** argv, Function function) {
    Daemon daemon("worker", "Does the work: takes attempts from the broker, obeys cancels, reports to the collector.");
    daemon.set_default_name(fmt::format("worker-{}", getpid()));
    WorkerOptions options(daemon.options(), function != nullptr);
    const auto check = [&] { options.check(daemon); };
    return daemon.run(argc, argv, check, [&] {
        auto handler = options.make_handler(daemon, std::move(function));
        return std::make_unique<WorkerServer>(daemon, options.config(), std::move(handler));
    });
}

}  // namespace curfew
