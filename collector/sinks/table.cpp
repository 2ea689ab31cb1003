#include "collector/sinks/table.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>

#ifdef CURFEW_AMQP
#include "collector/sinks/amqp.h"
#else
#include "common/amqp/left_out.h"
#endif
#include "collector/sinks/descriptor.h"
#include "collector/sinks/sqlite.h"
#include "collector/sinks/zmq.h"
#include "common/process/log.h"
#include "common/process/open_files.h"
#include "common/words/exit_code.h"

namespace curfew {
namespace {

void check_nothing(const Daemon&, const std::string&) {}

// ---- stdout, file ------------------------------------------------------------------------------

/// The word to the next life.
std::string mark_of(Daemon& daemon, const char* which) {
    return fmt::format("{}/{}.{}.mark", daemon.run_dir().path(), daemon.name(), which);
}

/// What is written to a file that the group reads comes back as a message, without an end.
int not_a_source(Daemon& daemon, int descriptor, const std::string& name) {
    struct stat file {};
    if (fstat(descriptor, &file) != 0 || !S_ISREG(file.st_mode)) return descriptor;
    const auto read = open_files_in_group(daemon.run_dir().path(), "curfew-broker", OpenTo::only_read);
    if (std::ranges::find(read, FileId{file.st_dev, file.st_ino}) == read.end()) return descriptor;
    throw Unusable(
        kExitUsage,
        fmt::format("the sink {} is the file that the broker of this group reads, so it would never end", name));
}

/// The same of one that is opened later, and may not be there.
void check_no_source(Daemon& daemon, const std::string& path) {
    if (const int there = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK); there >= 0)
        close(not_a_source(daemon, there, path));
}

std::unique_ptr<Sink> open_stdout(Daemon& daemon, const SinkFlags& flags, const std::string&) {
    return std::make_unique<DescriptorSink>(
        DescriptorSink::Place{.descriptor = not_a_source(daemon, dup(STDOUT_FILENO), "stdout"),
                              .name = "stdout",
                              .mark = mark_of(daemon, flags.which)},
        flags.format);
}

std::unique_ptr<Sink> open_file(Daemon& daemon, const SinkFlags& flags, const std::string& path) {
    using enum SinkMark::WithoutWord;
    if (flags.journal) {
        check_no_source(daemon, path);
        return std::make_unique<JournaledFile>(
            JournaledFile::Place{
                .path = path, .journal = path + ".journal", .sync = flags.sync, .header = flags.header},
            flags.format);
    }
    if (access((path + ".journal").c_str(), F_OK) == 0)
        throw Unusable(kExitUsage,
                       fmt::format("beside the sink '{0}' lies '{0}.journal': it is gone on with (--journal; "
                                   "launch --resume), or move both away",
                                   path));
    return std::make_unique<DescriptorSink>(
        DescriptorSink::Place{.descriptor = not_a_source(daemon, open_sink_file(path), path),
                              .name = path,
                              .mark = mark_of(daemon, flags.which),
                              .without_word = is_open_already(path)               ? leave
                                              : daemon.run_dir().crashed_before() ? cut
                                                                                  : newline,
                              .header = flags.header},
        flags.format);
}

// ---- sqlite ------------------------------------------------------------------------------------

std::unique_ptr<Sink> open_sqlite(Daemon& daemon, const SinkFlags& flags, const std::string& path) {
    check_no_source(daemon, path);
    return std::make_unique<SqliteSink>(path, flags.sync);
}

// ---- zmq ---------------------------------------------------------------------------------------

void check_zmq(const Daemon& daemon, const std::string& endpoint) {
    daemon.check_to_connect(endpoint, Reach::this_machine);
}

std::unique_ptr<Sink> open_zmq(Daemon& daemon, const SinkFlags& flags, const std::string& endpoint) {
    const Socket::Marks marks{.send = ZmqSink::kSendMark, .linger = Duration::zero(), .immediate = true};
    auto watch = std::make_unique<PeerWatch>();
    Socket socket = daemon.sockets().connect_outside(zmq::socket_type::push, endpoint, marks, *watch);
    if (daemon.run_dir().crashed_before()) {
        log::warn(
            "sink_after_crash sink={} reason=\"up to {} outcomes that the life before had handed to ZeroMQ "
            "may not have arrived, and are not sent again\"",
            log::quoted("zmq:" + endpoint), ZmqSink::kSendMark);
    }
    return std::make_unique<ZmqSink>(std::move(watch), std::move(socket), flags.format);
}

// ---- amqp --------------------------------------------------------------------------------------

#ifdef CURFEW_AMQP
constexpr std::array<std::string_view, 3> kQueueParameters{"queue", "exchange", "key"};

/// Where outcomes are published; with none of the three answers alone are.
template <bool tls>
amqp::Address queue_address(const std::string& rest) {
    amqp::Address address = amqp::address_of("--sink", tls, rest, kQueueParameters);
    const bool queue = !address.parameter("queue").empty(), exchange = !address.parameter("exchange").empty();
    const bool key = !address.parameter("key").empty();
    if ((queue && (exchange || key)) || (key && !exchange))
        throw std::invalid_argument(
            "--sink: behind the '?' stands where outcomes go: queue=NAME, or exchange=NAME&key=KEY; nothing: only to "
            "those who asked");
    return address;
}

template <bool tls>
void check_queue(const Daemon&, const std::string& rest) {
    (void)queue_address<tls>(rest);
}

template <bool tls>
std::unique_ptr<Sink> open_queue(Daemon& daemon, const SinkFlags& flags, const std::string& rest) {
    const amqp::Address address = queue_address<tls>(rest);
    const std::string exchange = address.parameter("exchange");
    return std::make_unique<AmqpSink>(
        AmqpPublisher::Place{.flag = fmt::format("--{}", flags.which),
                             .access = flags.login.access(address, flags.login.connection_name(daemon, flags.which)),
                             .exchange = exchange,
                             .key = address.parameter(exchange.empty() ? "queue" : "key"),
                             .declare = flags.login.declare,
                             .patient = daemon.run_dir().crashed_before()},
        flags.login.group(), flags.carries, flags.format);
}

constexpr SinkKind kQueue{
    "amqp://USER@HOST[,HOST...]/VHOST?exchange=NAME&key=KEY",
    "an exchange of a server such as RabbitMQ, or ?queue=NAME; an outcome counts when the server has "
    "confirmed it. A message with reply_to gets its outcome there, too",
    check_queue<false>, open_queue<false>};
constexpr SinkKind kSecureQueue{"amqps://USER@HOST[,HOST...]/VHOST?...", "the same over TLS", check_queue<true>,
                                open_queue<true>};
#else
void check_queue(const Daemon&, const std::string&) {
    amqp::refuse_left_out();
}

std::unique_ptr<Sink> open_queue(Daemon&, const SinkFlags&, const std::string&) {
    amqp::refuse_left_out();
}

constexpr SinkKind kQueue{"amqp://...", amqp::kLeftOut, check_queue, open_queue};
constexpr SinkKind kSecureQueue{"amqps://...", amqp::kLeftOut, check_queue, open_queue};
#endif

// ---- the table ---------------------------------------------------------------------------------

constexpr SinkKind kFile{"file:PATH", "never emptied, appended to; a FIFO is written when somebody reads it",
                         check_nothing, open_file};
constexpr SinkKind kSqlite{"sqlite:PATH",
                           "a database, with each outcome once in its table 'outcomes', by epoch and seq; it goes on "
                           "where a collector before has ended, and can be read meanwhile",
                           check_nothing, open_sqlite};
constexpr SinkKind kKinds[] = {
    {"stdout", "", check_nothing, open_stdout},
    kFile,
    kSqlite,
    {"zmq:ENDPOINT",
     "a PUSH that connects to the PULL of a reader who binds; one a frame. It promises that an outcome was handed over "
     "while a reader was connected, no more: if the reader goes, or has not taken all at the end, it is said how many "
     "may not have arrived, exit 74",
     check_zmq, open_zmq},
    kQueue,
    kSecureQueue,
};
constexpr SinkKind kDeadLetterKinds[] = {
    kFile,
    kSqlite,
    kQueue,
    kSecureQueue,
};

}  // namespace

std::span<const SinkKind> sink_kinds() {
    return kKinds;
}

std::unique_ptr<Sink> open_file_sink(Daemon& daemon, const SinkFlags& flags, const std::string& path) {
    return open_file(daemon, flags, path);
}

std::span<const SinkKind> dead_letter_kinds() {
    return kDeadLetterKinds;
}

}  // namespace curfew
