// The ceiling: the same race with nothing that curfew is for. One process reads lines and pushes them in frames of 256
// to each of N workers, over one ipc PUSH/PULL hop each; a worker copies each message into a frame of results; the
// collector writes the first result of each message and drops the rest. No books, no numbers for attempts, no credit,
// no deadlines, no cancels, and nobody may die: what the hops, the copies and the two files cost alone.
//
//     curfew-ceiling --input FILE --output FILE [--workers N] [--batch LINES]
//
// Says {"messages":N,"attempts":A,"seconds":S} on stdout, from the first frame's arrival at the collector to the last
// message written; 1 and a line on stderr if anything fails. All processes are forked before there is a ZeroMQ context.
#include <fcntl.h>
#include <sys/prctl.h>
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
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>
#include <zmq.hpp>

namespace {

constexpr int kPatienceMs = 30'000;

struct Flags {
    std::string input, output;
    unsigned long batch = 256, workers = 4;
};

Flags parse(int argc, char** argv) {
    Flags flags;
    for (int i = 1; i + 1 < argc; i += 2) {
        const std::string name = argv[i], value = argv[i + 1];
        const auto number = [&] { return std::max(1UL, std::strtoul(value.c_str(), nullptr, 10)); };
        if (name == "--input") flags.input = value;
        if (name == "--output") flags.output = value;
        if (name == "--batch") flags.batch = number();
        if (name == "--workers") flags.workers = number();
    }
    if (flags.input.empty() || flags.output.empty()) throw std::runtime_error("say --input FILE --output FILE");
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

// A frame: the number of its first message, then for each its length and its bytes. An empty one is the end.
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

void push_all(const Flags& flags) {
    zmq::context_t context;
    std::vector<zmq::socket_t> workers;
    for (unsigned long i = 0; i < flags.workers; ++i) {
        workers.emplace_back(context, zmq::socket_type::push);
        be_patient(workers.back());
        workers.back().connect("ipc://" + tasks_of(flags, i));
    }
    std::ifstream input(flags.input, std::ios::binary);
    if (!input) throw std::runtime_error("cannot read " + flags.input);
    std::string line, frame;
    std::uint64_t number = 0;
    const auto flush = [&] {
        for (zmq::socket_t& worker : workers) send(worker, frame);
        frame.clear();
    };
    for (; std::getline(input, line); ++number) {
        if (frame.empty()) append(frame, number);
        append(frame, std::string_view(line));
        if ((number + 1) % flags.batch == 0) flush();
    }
    if (!frame.empty()) flush();
    flush();
}

void work(const Flags& flags, unsigned long worker) {
    zmq::context_t context;
    zmq::socket_t tasks(context, zmq::socket_type::pull), results(context, zmq::socket_type::push);
    be_patient(tasks);
    be_patient(results);
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

void collect(const Flags& flags) {
    zmq::context_t context;
    zmq::socket_t results(context, zmq::socket_type::pull);
    be_patient(results);
    results.bind("ipc://" + results_of(flags));
    const int file = open(flags.output.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (file < 0) throw std::system_error(errno, std::generic_category(), flags.output);
    std::vector<bool> written;
    std::string out;
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
            out += message;
            out += '\n';
        });
        if (out.size() >= 256 * 1024) write_all(file, out);
        if (messages != before) last_at = std::chrono::steady_clock::now();
    }
    write_all(file, out);
    close(file);
    const std::chrono::duration<double> took = last_at - first_at;
    std::printf("{\"messages\":%llu,\"attempts\":%llu,\"seconds\":%.6f}\n", static_cast<unsigned long long>(messages),
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

int run(const Flags& flags) {
    const auto unlink_all = [&] {
        for (unsigned long i = 0; i < flags.workers; ++i) unlink(tasks_of(flags, i).c_str());
        unlink(results_of(flags).c_str());
    };
    unlink_all();
    std::vector<pid_t> children{in_child([&] { collect(flags); })};
    for (unsigned long i = 0; i < flags.workers; ++i) children.push_back(in_child([&, i] { work(flags, i); }));
    push_all(flags);
    int worst = 0;
    for (const pid_t child : children) {
        int status = 0;
        while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
        }
        worst = std::max(worst, WIFEXITED(status) ? WEXITSTATUS(status) : 1);
    }
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
