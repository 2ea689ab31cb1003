// curfew-collector: decides each task by the first acceptable report, writes outcomes to the sink, tells the broker.
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <stdexcept>

#include "collector/server.h"
#include "collector/zmq_sink.h"
#include "common/process/daemon.h"
#include "common/process/open_files.h"
#include "common/process/suggestion.h"
#include "common/words/exit_code.h"

namespace {

struct Flags {
    std::string sink = "stdout", format = "raw", dead_letters;
    curfew::CollectorServer::Config config;

    explicit Flags(curfew::Options& options) {
        options.text("--results", config.results, "Endpoint to bind for reports");
        options.text("--broker", config.broker, "The broker's endpoint for events");
        options.text(
            "--sink", sink,
            "Where outcomes go: stdout, file:PATH (never emptied, appended to; a FIFO is written when somebody "
            "reads it), or zmq:ENDPOINT (a PUSH that connects to the PULL of a reader who binds; one a frame). "
            "zmq: promises that an outcome was handed over while a reader was connected, no more: if the "
            "reader goes, or has not taken all at the end, it is said how many may not have arrived (exit 74)");
        options.choice("--format", format, {"raw", "json"},
                       "raw: results, a line each; json: all outcomes, a line each");
        options.text("--dead-letters", dead_letters,
                     "file:PATH (appended to): tasks that did not complete go there, as JSON lines, and not to the "
                     "sink");
        options.flag("--keep-order", config.keep_order, "Write in the order of acceptance");
        options.duration("--heartbeat", config.heartbeat, std::chrono::milliseconds(50), std::chrono::minutes(1),
                         "As the broker's");
    }

    /// Throws std::invalid_argument (no such kind of sink), EndpointError.
    void check(const curfew::Daemon& daemon) const {
        daemon.check_to_bind(config.results);
        daemon.check_to_connect(config.broker);
        if (sink.starts_with("zmq:")) daemon.check_to_connect(sink.substr(4), curfew::Reach::this_machine);
        const bool has_place =
            (sink.starts_with("file:") && sink.size() > 5) || (sink.starts_with("zmq:") && sink.size() > 4);
        if (sink != "stdout" && !has_place)
            throw std::invalid_argument(
                fmt::format("--sink: '{}' is not stdout, file:PATH or zmq:ENDPOINT{}", sink,
                            curfew::did_you_mean(sink, {"stdout", "file:PATH", "zmq:ENDPOINT"})));
        if (!dead_letters.empty() && (!dead_letters.starts_with("file:") || dead_letters.size() == 5))
            throw std::invalid_argument(fmt::format("--dead-letters: '{}' is not file:PATH", dead_letters));
    }

    /// `which` of the collector's sinks: each has its own word to the next life.
    static std::string mark_of(curfew::Daemon& daemon, const char* which) {
        return fmt::format("{}/{}.{}.mark", daemon.run_dir().path(), daemon.name(), which);
    }

    /// What is written to a file that the group reads comes back as a message, without an end.
    static int not_a_source(curfew::Daemon& daemon, int descriptor, const std::string& name) {
        using namespace curfew;
        struct stat file {};
        if (fstat(descriptor, &file) != 0 || !S_ISREG(file.st_mode)) return descriptor;
        const auto read = open_files_in_group(daemon.run_dir().path(), "curfew-broker", OpenTo::only_read);
        if (std::ranges::find(read, FileId{file.st_dev, file.st_ino}) == read.end()) return descriptor;
        throw Unusable(kExitUsage, fmt::format("the sink {} is the file that the broker of this group reads, so it "
                                               "would never end",
                                               name));
    }

    static std::unique_ptr<curfew::Sink> open_file(curfew::Daemon& daemon, const std::string& path, const char* which,
                                                   curfew::Format format) {
        using enum curfew::SinkMark::WithoutWord;
        return std::make_unique<curfew::DescriptorSink>(
            curfew::DescriptorSink::Place{.descriptor = not_a_source(daemon, curfew::open_sink_file(path), path),
                                          .name = path,
                                          .mark = mark_of(daemon, which),
                                          .without_word = curfew::is_open_already(path)       ? leave
                                                          : daemon.run_dir().crashed_before() ? cut
                                                                                              : newline},
            format);
    }

    static std::unique_ptr<curfew::Sink> open_stdout(curfew::Daemon& daemon, curfew::Format format) {
        return std::make_unique<curfew::DescriptorSink>(
            curfew::DescriptorSink::Place{.descriptor = not_a_source(daemon, dup(STDOUT_FILENO), "stdout"),
                                          .name = "stdout",
                                          .mark = mark_of(daemon, "sink")},
            format);
    }

    /// Two writers of one pipe (or terminal, or socket) tear each other's long lines; in a file they do not.
    [[nodiscard]] bool shares_a_pipe() const {
        struct stat one {
        }, other{};
        const bool known = sink == "stdout"            ? fstat(STDOUT_FILENO, &one) == 0
                           : sink.starts_with("file:") ? stat(sink.c_str() + 5, &one) == 0
                                                       : false;
        if (!known || stat(dead_letters.c_str() + 5, &other) != 0 || S_ISREG(one.st_mode)) return false;
        return one.st_dev == other.st_dev && one.st_ino == other.st_ino && !S_ISCHR(one.st_mode);
    }

    std::unique_ptr<curfew::Sink> open_dead_letters(curfew::Daemon& daemon) const {
        if (dead_letters.empty()) return nullptr;
        if (shares_a_pipe())
            throw std::invalid_argument(
                "--dead-letters: this is the pipe of --sink, where lines of both would run into each other; leave it "
                "out and use --format json, which has all outcomes");
        return open_file(daemon, dead_letters.substr(5), "dead-letters", curfew::append_json);
    }

    std::unique_ptr<curfew::Sink> open_sink(curfew::Daemon& daemon) const {
        using namespace curfew;
        const Format as = format == "json" ? append_json : append_raw;
        if (sink == "stdout") return open_stdout(daemon, as);
        if (sink.starts_with("file:")) return open_file(daemon, sink.substr(5), "sink", as);
        // zmq:, since check() has let it pass
        const Socket::Marks marks{.send = ZmqSink::kSendMark, .linger = Duration::zero(), .immediate = true};
        auto watch = std::make_unique<PeerWatch>();
        Socket socket = daemon.connect_outside(zmq::socket_type::push, sink.substr(4), marks, *watch);
        if (daemon.run_dir().crashed_before()) {
            log::warn(
                "sink_after_crash sink={} reason=\"up to {} outcomes that the life before had handed to ZeroMQ "
                "may not have arrived, and are not sent again\"",
                log::quoted(sink), ZmqSink::kSendMark);
        }
        return std::make_unique<ZmqSink>(std::move(watch), std::move(socket), as);
    }
};

}  // namespace

int main(int argc, char** argv) {
    curfew::Daemon daemon("collector",
                          "Decides each task by its first acceptable report and writes the outcomes to a sink.");
    Flags flags(daemon.options());
    const auto check = [&] { flags.check(daemon); };
    return daemon.run(argc, argv, check, [&] {
        flags.config.grace = std::max<curfew::Duration>(daemon.grace(), std::chrono::milliseconds(100));
        flags.config.says_failures = flags.format == "raw" && flags.dead_letters.empty();
        return std::make_unique<curfew::CollectorServer>(daemon, flags.config, flags.open_sink(daemon),
                                                         flags.open_dead_letters(daemon));
    });
}
