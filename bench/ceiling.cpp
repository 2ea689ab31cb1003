// The ceiling: the same race with nothing that curfew is for. One process reads lines and pushes
// them in frames of 256 to `fanout` of N workers in turn, over one ipc PUSH/PULL hop each; a worker
// copies each message into a frame of results; the collector writes the first result of each
// message and drops the rest. No books, no numbers for attempts, no credit, no deadlines, no
// cancels, and nobody may die: what the hops, the copies and the two files cost alone.
//
//     curfew-ceiling --input FILE --output FILE [--workers N] [--fanout K] [--batch LINES] [--window N]
//     curfew-ceiling --ingest ENDPOINT --sink ENDPOINT --output PREFIX [...]
//
// Fanout: all workers, unless it is said. Window: the most messages that are read and not yet
// written; 0: no bound. Says
// {"messages":N,"attempts":A,"seconds":S,"broker_cpu_s":B,"collector_cpu_s":C,"workers_cpu_s":W} on
// stdout, seconds from the first frame's arrival at the collector to the last message written; 1
// and a line on stderr if anything fails. The second form takes one message a frame, puts into a
// frame what there is (at most a batch), and pushes each first result as a frame of its own; it
// says nothing, and runs until it is killed. PREFIX: where its own sockets are. All processes are
// forked before there is a ZeroMQ context.
#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <functional>
#include <numeric>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>
#include <zmq.hpp>

namespace {

constexpr int kPatienceMs = 30'000;

struct Flags {
    std::string input, output, ingest, sink;
    unsigned long batch = 256, workers = 4, fanout = 0, window = 0;
    int written = -1;  ///< an eventfd: the collector adds the messages it has written

    [[nodiscard]] bool flows() const { return !ingest.empty(); }
};

Flags parse(int argc, char** argv) {
    Flags flags;
    for (int i = 1; i + 1 < argc; i += 2) {
        const std::string name = argv[i], value = argv[i + 1];
        const auto number = [&] { return std::max(1UL, std::strtoul(value.c_str(), nullptr, 10)); };
        if (name == "--input") flags.input = value;
        if (name == "--output") flags.output = value;
        if (name == "--ingest") flags.ingest = value;
        if (name == "--sink") flags.sink = value;
        if (name == "--batch") flags.batch = number();
        if (name == "--fanout") flags.fanout = number();
        if (name == "--window") flags.window = number();
        if (name == "--workers") flags.workers = number();
    }
    if (flags.output.empty() || flags.input.empty() == flags.ingest.empty() || flags.sink.empty() == flags.flows())
        throw std::runtime_error("say --output FILE and --input FILE, or --ingest ENDPOINT --sink ENDPOINT");
    flags.fanout = flags.fanout == 0 ? flags.workers : std::min(flags.fanout, flags.workers);
    flags.written = eventfd(0, EFD_CLOEXEC);
    if (flags.written < 0) throw std::system_error(errno, std::generic_category(), "eventfd");
    return flags;
}

std::string tasks_of(const Flags& flags, unsigned long worker) {
    return flags.output + ".tasks" + std::to_string(worker);
}
std::string results_of(const Flags& flags) {
    return flags.output + ".results";
}

void be_patient(zmq::socket_t& socket) {
    socket.set(zmq::sockopt::sndtimeo, kPatienceMs);
    socket.set(zmq::sockopt::rcvtimeo, kPatienceMs);
    socket.set(zmq::sockopt::linger, kPatienceMs);
}

void send(zmq::socket_t& socket, std::string_view frame) {
    if (!socket.send(zmq::buffer(frame))) throw std::runtime_error("the other end does not read");
}

zmq::message_t receive(zmq::socket_t& socket) {
    zmq::message_t frame;
    if (!socket.recv(frame)) throw std::runtime_error("the other end does not send");
    return frame;
}

// A frame: the number of its first message, then for each its length and its bytes. An empty one is
// the end.
void append(std::string& frame, std::uint64_t number) {
    frame.append(reinterpret_cast<const char*>(&number), sizeof number);
}
void append(std::string& frame, std::string_view message) {
    const auto length = static_cast<std::uint32_t>(message.size());
    frame.append(reinterpret_cast<const char*>(&length), sizeof length);
    frame += message;
}
template <typename Each>
void for_each_message(std::string_view frame, Each&& each) {
    std::uint64_t number = 0;
    std::memcpy(&number, frame.data(), sizeof number);
    for (std::size_t at = sizeof number; at < frame.size(); ++number) {
        std::uint32_t length = 0;
        std::memcpy(&length, frame.data() + at, sizeof length);
        each(number, frame.substr(at + sizeof length, length));
        at += sizeof length + length;
    }
}

/// What goes to the workers.
class Out {
public:
    explicit Out(const Flags& flags) : flags_(flags) {
        for (unsigned long i = 0; i < flags.workers; ++i) {
            workers_.emplace_back(context_, zmq::socket_type::push);
            be_patient(workers_.back());
            workers_.back().connect("ipc://" + tasks_of(flags, i));
        }
    }
    zmq::context_t& context() { return context_; }

    void add(std::string_view message) {
        if (flags_.window != 0 && number_ - written_ == flags_.window) flush();
        while (flags_.window != 0 && number_ - written_ == flags_.window) wait_for_collector();
        if (frame_.empty()) append(frame_, number_);
        append(frame_, message);
        if (++in_frame_ == flags_.batch) flush();
        ++number_;
    }
    void flush() {
        if (frame_.empty()) return;
        for (unsigned long i = 0; i < flags_.fanout; ++i, ++next_) send(workers_[next_ % flags_.workers], frame_);
        frame_.clear();
        in_frame_ = 0;
    }
    void end() {
        flush();
        for (zmq::socket_t& worker : workers_) send(worker, {});
    }

private:
    void wait_for_collector() {
        std::uint64_t more = 0;
        if (read(flags_.written, &more, sizeof more) != sizeof more)
            throw std::system_error(errno, std::generic_category(), "eventfd");
        written_ += more;
    }

    const Flags& flags_;
    zmq::context_t context_;
    std::vector<zmq::socket_t> workers_;
    std::string frame_;
    std::uint64_t number_ = 0, written_ = 0, in_frame_ = 0, next_ = 0;
};

void push_all(const Flags& flags) {
    Out out(flags);
    std::ifstream input(flags.input, std::ios::binary);
    if (!input) throw std::runtime_error("cannot read " + flags.input);
    for (std::string line; std::getline(input, line);) out.add(line);
    out.end();
}

void push_what_comes(const Flags& flags) {
    Out out(flags);
    zmq::socket_t ingest(out.context(), zmq::socket_type::pull);
    ingest.bind(flags.ingest);
    for (zmq::message_t message;;) {
        if (!ingest.recv(message, zmq::recv_flags::dontwait)) {
            out.flush();
            if (!ingest.recv(message)) continue;
        }
        out.add(message.to_string_view());
    }
}

void work(const Flags& flags, unsigned long worker) {
    zmq::context_t context;
    zmq::socket_t tasks(context, zmq::socket_type::pull), results(context, zmq::socket_type::push);
    be_patient(tasks);
    be_patient(results);
    if (flags.flows()) tasks.set(zmq::sockopt::rcvtimeo, -1);
    tasks.bind("ipc://" + tasks_of(flags, worker));
    results.connect("ipc://" + results_of(flags));
    std::string out;
    for (;;) {
        const zmq::message_t frame = receive(tasks);
        out.clear();
        if (frame.empty()) break;
        append(out, *frame.data<std::uint64_t>());
        for_each_message(frame.to_string_view(),
                         [&](std::uint64_t, std::string_view message) { append(out, message); });
        send(results, out);
    }
    send(results, {});
}

void write_all(int file, std::string& bytes) {
    for (std::size_t done = 0; done < bytes.size();) {
        const ssize_t n = write(file, bytes.data() + done, bytes.size() - done);
        if (n < 0 && errno != EINTR) throw std::system_error(errno, std::generic_category(), "output");
        if (n > 0) done += static_cast<std::size_t>(n);
    }
    bytes.clear();
}

/// Where the first results go: the file, or a socket.
class Sink {
public:
    Sink(const Flags& flags, zmq::context_t& context) : socket_(context, zmq::socket_type::push) {
        if (flags.flows()) {
            be_patient(socket_);
            socket_.connect(flags.sink);
            return;
        }
        file_ = open(flags.output.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        if (file_ < 0) throw std::system_error(errno, std::generic_category(), flags.output);
    }
    void add(std::string_view message) {
        if (file_ < 0) return send(socket_, message);
        out_ += message;
        out_ += '\n';
        if (out_.size() >= 256 * 1024) flush();
    }
    void flush() {
        if (file_ >= 0) write_all(file_, out_);
    }

private:
    zmq::socket_t socket_;
    int file_ = -1;
    std::string out_;
};

void collect(const Flags& flags) {
    zmq::context_t context;
    zmq::socket_t results(context, zmq::socket_type::pull);
    be_patient(results);
    if (flags.flows()) results.set(zmq::sockopt::rcvtimeo, -1);
    results.bind("ipc://" + results_of(flags));
    Sink sink(flags, context);
    std::vector<bool> written;
    std::uint64_t messages = 0, attempts = 0;
    std::chrono::steady_clock::time_point first_at, last_at;
    for (unsigned long ended = 0; ended < flags.workers;) {
        const zmq::message_t frame = receive(results);
        if (attempts == 0) first_at = std::chrono::steady_clock::now();
        if (frame.empty()) {
            ++ended;
            continue;
        }
        const std::uint64_t before = messages;
        for_each_message(frame.to_string_view(), [&](std::uint64_t number, std::string_view message) {
            ++attempts;
            if (number >= written.size()) written.resize(2 * number + 1024);
            if (written[number]) return;
            written[number] = true;
            ++messages;
            sink.add(message);
        });
        if (messages == before) continue;
        last_at = std::chrono::steady_clock::now();
        const std::uint64_t more = messages - before;
        if (flags.window != 0 && write(flags.written, &more, sizeof more) != sizeof more)
            throw std::system_error(errno, std::generic_category(), "eventfd");
    }
    sink.flush();
    const std::chrono::duration<double> took = last_at - first_at;
    std::printf("{\"messages\":%llu,\"attempts\":%llu,\"seconds\":%.6f", static_cast<unsigned long long>(messages),
                static_cast<unsigned long long>(attempts), took.count());
    std::fflush(stdout);
}

pid_t in_child(const std::function<void()>& what) {
    const pid_t child = fork();
    if (child < 0) throw std::system_error(errno, std::generic_category(), "fork");
    if (child != 0) return child;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    what();
    std::exit(0);
}

double seconds_of(const rusage& used) {
    const auto seconds = [](const timeval& time) {
        return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
    };
    return seconds(used.ru_utime) + seconds(used.ru_stime);
}

int run(const Flags& flags) {
    const auto unlink_all = [&] {
        for (unsigned long i = 0; i < flags.workers; ++i) unlink(tasks_of(flags, i).c_str());
        unlink(results_of(flags).c_str());
    };
    unlink_all();
    std::vector<pid_t> children{in_child([&] { collect(flags); })};
    for (unsigned long i = 0; i < flags.workers; ++i) children.push_back(in_child([&, i] { work(flags, i); }));
    if (flags.flows()) push_what_comes(flags);
    push_all(flags);
    int worst = 0;
    std::vector<double> cpu_s;
    for (const pid_t child : children) {
        int status = 0;
        rusage used{};
        while (wait4(child, &status, 0, &used) < 0 && errno == EINTR) {
        }
        worst = std::max(worst, WIFEXITED(status) ? WEXITSTATUS(status) : 1);
        cpu_s.push_back(seconds_of(used));
    }
    rusage own{};
    getrusage(RUSAGE_SELF, &own);
    std::printf(",\"broker_cpu_s\":%.6f,\"collector_cpu_s\":%.6f,\"workers_cpu_s\":%.6f}\n", seconds_of(own),
                cpu_s.front(), std::accumulate(cpu_s.begin() + 1, cpu_s.end(), 0.0));
    unlink_all();
    return worst;
}

}  // namespace

int main(int argc, char** argv) {
    try {
        return run(parse(argc, argv));
    } catch (const std::exception& error) {
        std::fprintf(stderr, "curfew-ceiling: %s\n", error.what());
        return 1;
    }
}
