#include "broker/sources/table.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <stdexcept>
#include <utility>

#ifdef CURFEW_AMQP
#include "broker/sources/amqp.h"
#else
#include "common/amqp/left_out.h"
#endif
#include "broker/sources/lines.h"
#include "broker/sources/zmq.h"
#include "broker/stopped_input.h"
#include "common/process/log.h"
#include "common/process/open_files.h"
#include "common/words/exit_code.h"

namespace curfew {
namespace {

/// What is written to the file that is read would be read: that never ends. Launch looks at more
/// than a process can see; where the sink is in a Procfile, nobody but we and the collector can
/// know.
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

// ---- stdin, file -------------------------------------------------------------------------------

void check_stdin(const Daemon&, const std::string&) {
    if (is_folder(STDIN_FILENO)) throw Unusable(kExitUsage, "--source: stdin is a folder");
}

std::unique_ptr<Source> open_stdin(Daemon& daemon, const SourceFlags& flags, const std::string&) {
    refuse_output(daemon, STDIN_FILENO);
    return std::make_unique<LineSource>(dup(STDIN_FILENO), flags.separator, flags.max_message);
}

std::unique_ptr<Source> open_file(Daemon& daemon, const SourceFlags& flags, const std::string& path) {
    if (const int named = named_descriptor(path); named >= 0 && !is_inherited(named)) throw cannot_read(path, ENOENT);
    // A FIFO that nobody writes to opens too, and is waited for in the loop.
    const int descriptor = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (descriptor < 0) throw cannot_read(path, errno);
    refuse_output(daemon, descriptor);
    return std::make_unique<LineSource>(descriptor, flags.separator, flags.max_message, path);
}

// ---- zmq ---------------------------------------------------------------------------------------

/// Of one producer, before it is pushed back: 1 GiB at most, where all are of the largest. A
/// quarter of the frames costs a quarter of the messages a second, since a turn of the broker takes
/// what waits.
int frames_that_wait(std::uint64_t max_message) {
    constexpr std::uint64_t kMostBytes = 1ULL << 30;
    return static_cast<int>(std::clamp<std::uint64_t>(kMostBytes / max_message, 16, 1000));
}

void check_zmq(const Daemon& daemon, const std::string& endpoint) {
    daemon.check_to_bind(endpoint, Reach::this_machine);
}

std::unique_ptr<Source> open_zmq(Daemon& daemon, const SourceFlags& flags, const std::string& endpoint) {
    // The one PULL that pushes back: producers are not under credit.
    keep_what_is_unread();
    Socket socket = daemon.sockets().bind(zmq::socket_type::pull, endpoint, "ingest",
                                          {.receive = frames_that_wait(flags.max_message)}, Reach::this_machine);
    log::info("source_binds endpoint={} producers=\"PUSH sockets that connect there\"", socket.endpoint());
    return std::make_unique<ZmqSource>(std::move(socket), flags.max_message,
                                       [&daemon](Socket& bound) { daemon.sockets().give_up_address(bound); });
}

// ---- amqp --------------------------------------------------------------------------------------

#ifdef CURFEW_AMQP
constexpr std::array<std::string_view, 1> kQueueParameters{"queue"};

template <bool tls>
amqp::Address queue_address(const std::string& rest) {
    amqp::Address address = amqp::address_of("--source", tls, rest, kQueueParameters);
    if (address.parameter("queue").empty())
        throw std::invalid_argument("--source: behind the '?' stands which queue: amqp://HOST/VHOST?queue=NAME");
    return address;
}

template <bool tls>
void check_queue(const Daemon&, const std::string& rest) {
    (void)queue_address<tls>(rest);
}

template <bool tls>
std::unique_ptr<Source> open_queue(Daemon& daemon, const SourceFlags& flags, const std::string& rest) {
    const amqp::Address address = queue_address<tls>(rest);
    const QueueFlags& said = flags.queue;
    return std::make_unique<AmqpSource>(
        AmqpSource::Config{.deliveries = {.window = said.dedup_window},
                           .most_deliveries = said.most_deliveries,
                           .rejects = !said.keeps_failed,
                           .consumer_timeout = said.consumer_timeout,
                           .max_message = flags.max_message,
                           .cancels_when_lost = said.cancels_when_lost},
        AmqpConsumer::Place{.access = said.login.access(address, said.login.connection_name(daemon, "source")),
                            .queue = address.parameter("queue"),
                            .declare = said.login.declare,
                            .max_message = flags.max_message});
}
#else
void check_queue(const Daemon&, const std::string&) {
    amqp::refuse_left_out();
}

std::unique_ptr<Source> open_queue(Daemon&, const SourceFlags&, const std::string&) {
    amqp::refuse_left_out();
}
#endif

// ---- the table ---------------------------------------------------------------------------------

constexpr SourceKind kKinds[] = {
    {"stdin", "", check_stdin, open_stdin},
    {"file:PATH", "", [](const Daemon&, const std::string& path) { check_file(path); }, open_file},
    {"zmq:ENDPOINT", "a PULL that binds; producers connect a PUSH, one message a frame", check_zmq, open_zmq},
#ifdef CURFEW_AMQP
    {"amqp://USER@HOST[,HOST...]/VHOST?queue=NAME",
     "a queue of a server such as RabbitMQ; what has no outcome when this group dies goes to another",
     check_queue<false>, open_queue<false>},
    {"amqps://USER@HOST[,HOST...]/VHOST?queue=NAME", "the same over TLS", check_queue<true>, open_queue<true>},
#else
    {"amqp://...", amqp::kLeftOut, check_queue, open_queue},
    {"amqps://...", amqp::kLeftOut, check_queue, open_queue},
#endif
};

}  // namespace

std::span<const SourceKind> source_kinds() {
    return kKinds;
}

}  // namespace curfew
