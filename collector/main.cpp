// curfew-collector: decides each task by the first acceptable report, writes outcomes to the sink, tells the broker.
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <stdexcept>

#include "collector/server.h"
#include "common/daemon.h"
#include "common/suggestion.h"

namespace {

struct Flags {
    std::string sink = "stdout", format = "raw", dead_letters;
    curfew::CollectorServer::Config config;

    explicit Flags(curfew::Options& options) {
        options.text("--results", config.results, "Endpoint to bind for reports");
        options.text("--broker", config.broker, "The broker's endpoint for events");
        options.text("--sink", sink,
                     "Where outcomes go: stdout, file:PATH (appended to), or zmq:ENDPOINT (a PUSH, one a frame)");
        options.choice("--format", format, {"raw", "json"},
                       "raw: results, a line each; json: all outcomes, a line each");
        options.text("--dead-letters", dead_letters,
                     "file:PATH: tasks that did not complete go there, as JSON lines, and not to the sink");
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

    static std::unique_ptr<curfew::Sink> open_file(curfew::Daemon& daemon, const std::string& path, const char* which,
                                                   curfew::Format format) {
        using enum curfew::SinkMark::WithoutWord;
        return std::make_unique<curfew::DescriptorSink>(
            curfew::DescriptorSink::Place{.descriptor = curfew::open_sink_file(path),
                                          .name = path,
                                          .mark = mark_of(daemon, which),
                                          .without_word = daemon.run_dir().crashed_before() ? cut : newline},
            format);
    }

    static std::unique_ptr<curfew::Sink> open_stdout(curfew::Daemon& daemon, curfew::Format format) {
        return std::make_unique<curfew::DescriptorSink>(
            curfew::DescriptorSink::Place{
                .descriptor = dup(STDOUT_FILENO), .name = "stdout", .mark = mark_of(daemon, "sink")},
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
        const Socket::Marks marks{.send = 1000, .linger = daemon.grace()};  // zmq:, since check() has let it pass
        return std::make_unique<ZmqSink>(
            daemon.connect_to_peer(zmq::socket_type::push, sink.substr(4), marks, Reach::this_machine), as);
    }
};

}  // namespace

int main(int argc, char** argv) {
    curfew::Daemon daemon("collector",
                          "Decides each task by its first acceptable report and writes the outcomes to a sink.");
    Flags flags(daemon.options());
    const auto check = [&] { flags.check(daemon); };
    return daemon.run(argc, argv, check, [&] {
        flags.config.says_failures = flags.format == "raw" && flags.dead_letters.empty();
        return std::make_unique<curfew::CollectorServer>(daemon, flags.config, flags.open_sink(daemon),
                                                         flags.open_dead_letters(daemon));
    });
}
