#include "broker/options.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <random>
#include <stdexcept>
#include <utility>

#include "broker/stopped_input.h"
#include "common/process/log.h"
#include "common/process/open_files.h"
#include "common/process/suggestion.h"
#include "common/words/exit_code.h"

namespace curfew {
namespace {

using Take = std::optional<std::string>;

Take take_hedge(const std::string& text, Hedging::Config& hedging) {
    if (text.starts_with('p')) {
        const auto percent = parse_share(text.substr(1) + "%");
        if (!percent || *percent <= 0 || *percent >= 1)
            return fmt::format("'{}' is not a percentile like p95 or p99.9", text);
        hedging.delay = Hedging::Config::Delay::percentile;
        hedging.percentile = *percent;
        return std::nullopt;
    }
    const auto delay = parse_duration(text);
    if (!delay) return fmt::format("'{}' is not 0, a duration like 20ms, or a percentile like p95", text);
    hedging.delay = *delay == Duration::zero() ? Hedging::Config::Delay::race : Hedging::Config::Delay::fixed;
    hedging.fixed = *delay;
    return std::nullopt;
}

/// What is written to the file that is read would be read: that never ends. Launch looks at more than a process can
/// see; where the sink is in a Procfile, nobody but we and the collector can know.
void refuse_output(const Daemon& daemon, int source) {
    struct stat read {
    }, written{};
    if (fstat(source, &read) != 0 || !S_ISREG(read.st_mode)) return;
    for (const auto& [descriptor, name] : {std::pair(STDOUT_FILENO, "stdout"), std::pair(STDERR_FILENO, "stderr")}) {
        if (fstat(descriptor, &written) == 0 && written.st_dev == read.st_dev && written.st_ino == read.st_ino)
            throw std::invalid_argument(
                fmt::format("--source: this is the file of {} too, so it would never end", name));
    }
    const auto sinks = open_files_in_group(daemon.run_dir().path(), "curfew-collector", OpenTo::write);
    if (std::ranges::find(sinks, FileId{read.st_dev, read.st_ino}) != sinks.end())
        throw std::invalid_argument("--source: the collector of this group writes this file, so it would never end");
}

std::invalid_argument no_such_source(const std::string& source) {
    return std::invalid_argument(fmt::format("--source: '{}' is not stdin, file:PATH or zmq:ENDPOINT{}", source,
                                             did_you_mean(source, {"stdin", "file:PATH", "zmq:ENDPOINT"})));
}

Unusable cannot_read(const std::string& path, int error) {
    const bool is_there = error != ENOENT && error != ENOTDIR && error != EISDIR;
    return {is_there ? kExitIo : kExitUsage, fmt::format("--source: cannot read '{}': {}", path, std::strerror(error))};
}

bool is_folder(int descriptor) {
    struct stat found {};
    return fstat(descriptor, &found) == 0 && S_ISDIR(found.st_mode);
}

/// Without opening it, which has effects where it is no file.
void check_file(const std::string& path) {
    struct stat found {};
    if (stat(path.c_str(), &found) != 0) throw cannot_read(path, errno);
    if (S_ISDIR(found.st_mode)) throw cannot_read(path, EISDIR);
    if (faccessat(AT_FDCWD, path.c_str(), R_OK, AT_EACCESS) != 0) throw cannot_read(path, errno);
}

constexpr const char* kDefaultDeadline = "30s";

/// People key side effects by `epoch-seq`, across runs and hosts: nothing but chance makes that unique. 63 bits, so
/// that it is a positive number in any language.
Epoch new_epoch() {
    static_assert(sizeof(std::random_device::result_type) == 4);
    std::random_device random;
    const Epoch epoch = (Epoch{random()} << 32 | random()) >> 1;
    return std::max<Epoch>(epoch, 1);  // 0 is none
}

}  // namespace

BrokerOptions::BrokerOptions(Options& options) {
    options.text("--source", source_,
                 "Where messages come from: stdin, file:PATH, or zmq:ENDPOINT (a PULL that binds; producers connect a "
                 "PUSH, one message a frame)");
    options.flag("--null", null_, "Messages of stdin and file: end with NUL, not with a newline");
    options.size("--max-message", max_message_, 1, wire::kPayloadBytes, "Longer messages are refused and counted");
    options.count("--fanout", fanout_, 1, 1000, "Most attempts of one task alive together");
    options.value("--hedge", "0",
                  "0: start all at once; 20ms: the next when the last has run that long; p95: that percentile",
                  [this](const std::string& text) { return take_hedge(text, hedging_); });
    options.value("--hedge-budget", "none",
                  "Most hedges, as a share of tasks, like 5%; ten are free, up to a hundred are saved up; not for a "
                  "race (--hedge 0)",
                  [this](const std::string& text) -> Take {
                      if (text == "none") return hedging_.budget.reset(), std::nullopt;
                      hedging_.budget = parse_share(text);
                      if (!hedging_.budget) return fmt::format("'{}' is not a share like 5%, or none", text);
                      return std::nullopt;
                  });
    options.duration("--hedge-min", hedging_.shortest, Duration::zero(), std::chrono::hours(1),
                     "Least delay of a percentile");
    options.duration("--hedge-max", hedging_.longest, Duration::zero(), std::chrono::hours(1),
                     "Largest delay of a percentile");
    options.value("--deadline", kDefaultDeadline, "Time for a task from its acceptance, or none",
                  [this](const std::string& text) -> Take {
                      deadline_text_ = text;
                      if (text == "none") return deadline_.reset(), std::nullopt;
                      deadline_ = parse_duration(text);
                      if (!deadline_ || *deadline_ <= Duration::zero() || *deadline_ > std::chrono::hours(24 * 365)) {
                          return fmt::format("'{}' is not a duration like 30s or 10m, or none", text);
                      }
                      return std::nullopt;
                  });
    options.value("--drain-timeout", "none",
                  "Time for a drain; what is then in flight ends as cancelled, and the exit code is 75",
                  [this](const std::string& text) -> Take {
                      if (text == "none") return drain_timeout_.reset(), std::nullopt;
                      drain_timeout_ = parse_duration(text);
                      if (!drain_timeout_ || *drain_timeout_ > std::chrono::hours(24 * 365))
                          return fmt::format("'{}' is not a duration like 30s or 10m, or none", text);
                      return std::nullopt;
                  });
    options.value("--attempts", "the fanout", "Failures after which a task is given up",
                  [this](const std::string& text) -> Take {
                      attempts_ = parse_count(text);
                      if (!attempts_ || *attempts_ < 1 || *attempts_ > 1'000'000)
                          return fmt::format("'{}' is not a whole number from 1 to 1000000", text);
                      return std::nullopt;
                  });
    options.count("--poison", poison_, 0, 1'000'000,
                  "Workers that may die of a task before it is given up; 0: any number");
    options.count("--window", window_, 1, wire::kMostWindow, "Most tasks in flight");
    options.size("--window-bytes", window_bytes_, 1, 1ULL << 40, "Most bytes of messages in flight");
    options.size("--backlog", backlog_bytes_, 1, 1ULL << 40,
                 "Most bytes of outcomes that wait for the sink before no more messages are taken");
    options.count("--await-workers", await_workers_, 0, 100'000,
                  "At the start, take messages when so many workers are ready, or half a second after the first");
    options.duration("--heartbeat", heartbeat_, std::chrono::milliseconds(50), std::chrono::minutes(1),
                     "Of the workers (give them the same); three in silence and a worker is gone");
    options.text("--events", events_, "Endpoint to bind for events of workers and collector");
    options.text("--collector", collector_, "The collector's endpoint for results");
    options.text("--admin", admin_, "Endpoint to bind for cancel, drain, pause");
}

BrokerServer::Config BrokerOptions::config(Incarnation incarnation) const {
    BrokerServer::Config config;
    Dispatcher::Config& d = config.dispatcher;
    d.incarnation = incarnation;
    d.epoch = new_epoch();
    d.first_sync = std::random_device{}();
    d.fanout = static_cast<std::uint32_t>(fanout_);
    d.attempts = static_cast<std::uint32_t>(attempts_.value_or(fanout_));
    d.poison = static_cast<std::uint32_t>(poison_);
    d.window = window_;
    d.backlog_bytes = backlog_bytes_;
    d.await_workers = static_cast<std::uint32_t>(await_workers_);
    d.window_bytes = window_bytes_;
    d.deadline = deadline_;
    d.past_deadline = deadline_text_.empty()
                          ? fmt::format("deadline exceeded: {}, the default (--deadline)", kDefaultDeadline)
                          : fmt::format("deadline exceeded: {}", deadline_text_);
    d.hedging = hedging_;
    if (hedging_.budget && hedging_.delay == Hedging::Config::Delay::race)
        log::warn(
            "hedge_budget_unused reason=\"--hedge 0 starts all at once, which no budget bounds\" "
            "next=\"say --hedge p95, or another delay\"");
    d.heartbeat = heartbeat_;
    config.drain_timeout = drain_timeout_;
    config.max_message = max_message_;
    config.events = events_;
    config.collector = collector_;
    config.admin = admin_;
    return config;
}

/// Of one producer, before it is pushed back: 1 GiB at most, where all are of the largest. A quarter of the frames
/// costs a quarter of the messages a second, since a turn of the broker takes what waits.
int BrokerOptions::frames_that_wait() const {
    constexpr std::uint64_t kMostBytes = 1ULL << 30;
    return static_cast<int>(std::clamp<std::uint64_t>(kMostBytes / max_message_, 16, 1000));
}

std::unique_ptr<Source> BrokerOptions::open_source(Daemon& daemon) const {
    const char separator = null_ ? '\0' : '\n';
    if (source_ == "stdin") {
        refuse_output(daemon, STDIN_FILENO);
        return std::make_unique<LineSource>(dup(STDIN_FILENO), separator, max_message_);
    }
    if (source_.starts_with("file:")) {
        const std::string path = source_.substr(5);
        if (const int named = named_descriptor(path); named >= 0 && !is_inherited(named))
            throw cannot_read(path, ENOENT);
        // A FIFO that nobody writes to opens too, and is waited for in the loop.
        const int descriptor = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
        if (descriptor < 0) throw cannot_read(path, errno);
        refuse_output(daemon, descriptor);
        return std::make_unique<LineSource>(descriptor, separator, max_message_, path);
    }
    if (source_.starts_with("zmq:")) {
        // The one PULL that pushes back: producers are not under credit.
        keep_what_is_unread();
        Socket socket = daemon.bind(zmq::socket_type::pull, source_.substr(4), "ingest",
                                    {.receive = frames_that_wait()}, Reach::this_machine);
        log::info("source_binds endpoint={} producers=\"PUSH sockets that connect there\"", socket.endpoint());
        return std::make_unique<ZmqSource>(std::move(socket), max_message_,
                                           [&daemon](Socket& bound) { daemon.give_up_address(bound); });
    }
    throw no_such_source(source_);
}

void BrokerOptions::check(const Daemon& daemon) const {
    daemon.check_to_bind(events_);
    daemon.check_to_bind(admin_);
    daemon.check_to_connect(collector_);
    if (source_ == "stdin") {
        if (is_folder(STDIN_FILENO)) throw Unusable(kExitUsage, "--source: stdin is a folder");
    } else if (source_.starts_with("file:")) {
        check_file(source_.substr(5));
    } else if (source_.starts_with("zmq:")) {
        daemon.check_to_bind(source_.substr(4), Reach::this_machine);
    } else {
        throw no_such_source(source_);
    }
}

}  // namespace curfew
