// curfew-broker: takes messages from a source, races each on several workers, keeps the books.
#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

#include "broker/options.h"
#include "broker/server.h"
#include "common/process/daemon.h"

int main(int argc, char** argv) {
    curfew::Daemon daemon("broker", "Takes messages off a source, races each on several workers, and keeps the books.");
    curfew::BrokerOptions options(daemon.options());
    const auto check = [&] { options.check(daemon); };
    return daemon.run(argc, argv, check, [&] {
        curfew::BrokerServer::Config config = options.config(daemon.run_dir().incarnation());
        return std::make_unique<curfew::BrokerServer>(daemon, config, options.open_source(daemon));
    });
}
