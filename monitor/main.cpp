// curfew-monitor: looks at a group (stats, dump, events, top, check, serve) and, by the admin
// socket, touches it (drain, pause, resume, cancel). Reads dead letters, too, without a group.
#include <exception>

#include "common/process/options.h"
#include "common/words/exit_code.h"
#include "monitor/commands.h"
#include "monitor/options.h"

int main(int argc, char** argv) {
    using namespace curfew;
    Options options("curfew-monitor",
                    "Looks at a group of curfew processes: what is in flight, where, and for how long.");
    MonitorOptions said(options);
    if (const auto code = options.parse(argc, argv)) return *code;
    try {
        said.check();
    } catch (const Unusable& error) {
        return options.fail(error.code, error.what());
    } catch (const std::exception& error) {
        return options.refuse(error.what());
    }
    if (options.only_checks()) return options.say_checked();
    try {
        return run_command(said);
    } catch (const Unusable& error) {
        return options.fail(error.code, error.what());
    } catch (const std::exception& error) {
        return options.fail(kExitUsage, error.what());
    }
}
