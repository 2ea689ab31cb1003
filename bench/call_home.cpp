// The floor of calling losers home: the frames of a race and of its cancels, over the same sockets,
// with nothing that curfew is for, no books, no credit, no deadlines. A broker sends each task to
// all workers at a random instant (Poisson); the one that wins reports it after 5 ms, the broker
// calls the others home when that has come, and these report, all through a collector. As curfew
// does, each process reads all that came and sends one frame to each peer.
//
//     curfew-call-home --dir DIRECTORY --rate R [--count N] [--workers W]
//
// R tasks a second. Says {"p50_us":A,"p99_us":B,"mean_us":C} on stdout, from the arrival of the
// winner's report at the broker to that of each loser's; 1 and a line on stderr if anything fails.
// Forked before there is a context.
#include <poll.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <random>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>
#include <zmq.hpp>

#include "bench/children.h"

namespace {

using Clock = std::chrono::steady_clock;
constexpr std::chrono::milliseconds kWork(5);
constexpr std::chrono::seconds kPatience(10);
constexpr std::uint32_t kWarmUp = 200;  // tasks

struct Flags {
    std::string dir;
    double rate = 0;
    std::uint32_t count = 10'000, workers = 4;
};

Flags parse(int argc, char** argv) {
    Flags flags;
    for (int i = 1; i + 1 < argc; i += 2) {
        const std::string_view name = argv[i];
        const auto number = static_cast<std::uint32_t>(std::max(1, std::atoi(argv[i + 1])));
        if (name == "--dir") flags.dir = argv[i + 1];
        if (name == "--rate") flags.rate = std::atof(argv[i + 1]);
        if (name == "--count") flags.count = number;
        if (name == "--workers") flags.workers = std::max(2U, number);
    }
    if (flags.dir.empty() || flags.rate <= 0) throw std::runtime_error("say --dir DIRECTORY and --rate R");
    return flags;
}

/// What all of them say to each other: a frame is any number of these.
struct Record {
    enum Kind : std::uint32_t { kTask, kCancel, kWon, kCancelled } kind;
    std::uint32_t task, worker;  // a task's winner; whose report it is
};

std::string endpoint(const Flags& flags, const std::string& name) {
    return "ipc://" + flags.dir + '/' + name;
}

zmq::socket_t make(zmq::context_t& context, zmq::socket_type type) {
    zmq::socket_t socket(context, type);
    socket.set(zmq::sockopt::linger, 0);
    return socket;
}

/// What is to go to one peer at the end of the turn.
struct Out {
    zmq::socket_t socket;
    std::vector<Record> records;

    void flush() {
        if (!records.empty()) socket.send(zmq::buffer(records), zmq::send_flags::none);
        records.clear();
    }
};

/// Waits until something has come or `until`, and hands over all that has.
template <class Take>
void read_until(zmq::socket_t& socket, Clock::time_point until, const Take& take) {
    pollfd ready{socket.get(zmq::sockopt::fd), POLLIN, 0};
    bool any = false;
    for (zmq::message_t frame;;) {
        while (socket.recv(frame, zmq::recv_flags::dontwait)) {
            any = true;
            Record record;
            for (std::size_t at = 0; at + sizeof record <= frame.size(); at += sizeof record) {
                std::memcpy(&record, frame.data<char>() + at, sizeof record);
                take(record);
            }
        }
        const auto left = std::chrono::nanoseconds(until - Clock::now());
        if (any || left.count() <= 0) return;
        const timespec wait{left.count() / 1'000'000'000, left.count() % 1'000'000'000};
        if (ppoll(&ready, 1, &wait, nullptr) < 0 && errno != EINTR) std::_Exit(1);
    }
}

[[noreturn]] void collect(const Flags& flags) {
    zmq::context_t context;
    zmq::socket_t in = make(context, zmq::socket_type::pull);
    in.bind(endpoint(flags, "results"));
    Out out{make(context, zmq::socket_type::push), {}};
    out.socket.connect(endpoint(flags, "events"));
    for (;; out.flush())
        read_until(in, Clock::now() + kPatience, [&](const Record& record) { out.records.push_back(record); });
}

[[noreturn]] void work(const Flags& flags, std::uint32_t self) {
    zmq::context_t context;
    zmq::socket_t in = make(context, zmq::socket_type::pull);
    in.bind(endpoint(flags, "tasks" + std::to_string(self)));
    Out out{make(context, zmq::socket_type::push), {}};
    out.socket.connect(endpoint(flags, "results"));
    // Those that win, and when they are done
    std::deque<std::pair<Clock::time_point, std::uint32_t>> running;
    for (;; out.flush()) {
        read_until(in, running.empty() ? Clock::now() + kPatience : running.front().first, [&](const Record& record) {
            if (record.kind == Record::kCancel)
                out.records.push_back({Record::kCancelled, record.task, self});
            else if (record.worker == self)
                running.emplace_back(Clock::now() + kWork, record.task);
        });
        for (; !running.empty() && running.front().first <= Clock::now(); running.pop_front())
            out.records.push_back({Record::kWon, running.front().second, self});
    }
}

/// Microseconds of each loser.
/// All are connected when each has answered.
std::vector<Out> connect_to_workers(zmq::context_t& context, zmq::socket_t& in, const Flags& flags) {
    std::vector<Out> workers;
    for (std::uint32_t number = 0; number < flags.workers; ++number) {
        workers.push_back({make(context, zmq::socket_type::push), {}});
        workers.back().socket.connect(endpoint(flags, "tasks" + std::to_string(number)));
    }
    for (Out& worker : workers) {
        worker.records.push_back({Record::kCancel, 0, 0});
        worker.flush();
    }
    const Clock::time_point give_up = Clock::now() + kPatience;
    for (std::uint32_t answers = 0; answers < flags.workers;) {
        read_until(in, give_up, [&](const Record&) { ++answers; });
        if (Clock::now() >= give_up) throw std::runtime_error("a worker does not answer");
    }
    return workers;
}

std::vector<double> call_home(const Flags& flags) {
    zmq::context_t context;
    zmq::socket_t in = make(context, zmq::socket_type::pull);
    in.bind(endpoint(flags, "events"));
    std::vector<Out> workers = connect_to_workers(context, in, flags);
    std::mt19937 dice(1);  // NOLINT(cert-msc32-c,cert-msc51-cpp): the same instants each time
    std::exponential_distribution<double> until_next(flags.rate);
    const std::uint32_t tasks = kWarmUp + flags.count;
    std::vector<Clock::time_point> won_at(tasks);
    std::vector<double> latencies;
    latencies.reserve(std::size_t(flags.count) * (flags.workers - 1));
    Clock::time_point next = Clock::now(), last_news = next;
    std::uint32_t sent = 0;
    for (std::size_t ended = 0; ended < std::size_t(tasks) * (flags.workers - 1);) {
        read_until(in, sent < tasks ? next : Clock::now() + kPatience, [&](const Record& record) {
            last_news = Clock::now();
            if (record.kind == Record::kWon) {
                won_at[record.task] = last_news;
                for (std::uint32_t number = 0; number < flags.workers; ++number)
                    if (number != record.worker) workers[number].records.push_back({Record::kCancel, record.task, 0});
            } else {
                ++ended;
                const std::chrono::duration<double, std::micro> took = last_news - won_at[record.task];
                if (record.task >= kWarmUp) latencies.push_back(took.count());
            }
        });
        for (; sent < tasks && next <= Clock::now(); ++sent) {
            next += std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(until_next(dice)));
            for (Out& worker : workers) worker.records.push_back({Record::kTask, sent, sent % flags.workers});
        }
        for (Out& worker : workers) worker.flush();
        if (Clock::now() - last_news > kPatience) throw std::runtime_error("a loser did not come home");
    }
    return latencies;
}

void run(const Flags& flags) {
    std::vector<std::string> sockets{flags.dir + "/results", flags.dir + "/events"};
    for (std::uint32_t number = 0; number < flags.workers; ++number)
        sockets.push_back(flags.dir + "/tasks" + std::to_string(number));
    curfew::bench::Children children(std::move(sockets));
    children.start([&] { collect(flags); });
    for (std::uint32_t number = 0; number < flags.workers; ++number) children.start([&] { work(flags, number); });
    curfew::bench::say_latencies(call_home(flags));
}

}  // namespace

int main(int argc, char** argv) {
    try {
        run(parse(argc, argv));
        return 0;
    } catch (const std::exception& error) {
        std::fprintf(stderr, "curfew-call-home: %s\n", error.what());
        return 1;
    }
}
