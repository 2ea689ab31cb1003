// curfew-collector: decides each task by the first acceptable report, writes outcomes to the sink,
// tells the broker.
#include "collector/options.h"
#include "collector/server.h"
#include "common/process/daemon.h"

int main(int argc, char** argv) {
    curfew::Daemon daemon("collector",
                          "Decides each task by its first acceptable report and writes the outcomes to a sink.");
    curfew::CollectorOptions options(daemon.options());
    const auto check = [&] { options.check(daemon); };
    return daemon.run(argc, argv, check, [&] {
        return std::make_unique<curfew::CollectorServer>(daemon, options.config(daemon), options.open_sinks(daemon));
    });
}
