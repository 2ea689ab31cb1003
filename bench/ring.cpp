// The floor of a latency: a message goes round a ring of four PUSH/PULL hops over ipc, one at a
// time, as a message of curfew's does (client, broker, worker, collector, client), and nobody on
// the way does anything with it.
//
//     curfew-ring --dir DIRECTORY [--count N] [--hops H] [--spinners S]
//
// With spinners: so many processes burn a core each meanwhile, as work does, and the messages pause
// 10 ms in between, so that each comes to processes that are asleep. Says
// {"p50_us":A,"p99_us":B,"mean_us":C} on stdout; 1 and a line on stderr if anything fails. Forked
// before there is a context.

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>
#include <zmq.hpp>

#include "bench/children.h"

namespace {

constexpr int kPatienceMs = 10'000;
constexpr std::size_t kWarmUp = 1000, kWarmUpBesideWork = 20, kSize = 128;
constexpr std::chrono::milliseconds kPause(10);

struct Flags {
    std::string dir;
    std::size_t count = 20'000;
    int hops = 4, spinners = 0;
};

Flags parse(int argc, char** argv) {
    Flags flags;
    for (int i = 1; i + 1 < argc; i += 2) {
        const std::string_view name = argv[i];
        if (name == "--dir") flags.dir = argv[i + 1];
        if (name == "--hops") flags.hops = std::max(2, std::atoi(argv[i + 1]));
        if (name == "--spinners") flags.spinners = std::max(0, std::atoi(argv[i + 1]));
        if (name == "--count") flags.count = std::max(1UL, std::strtoul(argv[i + 1], nullptr, 10));
    }
    if (flags.dir.empty()) throw std::runtime_error("say --dir DIRECTORY");
    return flags;
}

std::string path_of(const Flags& flags, int place) {
    return flags.dir + "/ring" + std::to_string(place % flags.hops);
}

/// A place in the ring: takes from its own socket, hands on to the next one's.
struct Place {
    zmq::context_t context;
    zmq::socket_t in{context, zmq::socket_type::pull}, out{context, zmq::socket_type::push};

    Place(const Flags& flags, int place) {
        for (zmq::socket_t* socket : {&in, &out}) {
            socket->set(zmq::sockopt::rcvtimeo, kPatienceMs);
            socket->set(zmq::sockopt::sndtimeo, kPatienceMs);
            socket->set(zmq::sockopt::linger, 0);
        }
        in.bind("ipc://" + path_of(flags, place));
        out.connect("ipc://" + path_of(flags, place + 1));
    }
};

[[noreturn]] void relay(const Flags& flags, int number) {
    Place place(flags, number);
    for (zmq::message_t message;;) {
        if (!place.in.recv(message) || !place.out.send(std::move(message), zmq::send_flags::none)) std::_Exit(1);
    }
}

[[noreturn]] void spin() {
    for (std::atomic<unsigned> turns = 0;; ++turns) {
    }
}

void measure(const Flags& flags) {
    using Clock = std::chrono::steady_clock;
    Place place(flags, 0);
    const std::string payload(kSize, 'x');
    std::vector<double> latencies;
    const std::size_t warm_up = flags.spinners == 0 ? kWarmUp : kWarmUpBesideWork;
    for (std::size_t i = 0; i < warm_up + flags.count; ++i) {
        // A pause, until every relay sleeps, as in a quiet group.
        if (flags.spinners != 0) std::this_thread::sleep_for(kPause);
        const auto sent_at = Clock::now();
        zmq::message_t message;
        if (!place.out.send(zmq::buffer(payload)) || !place.in.recv(message))
            throw std::runtime_error("the ring is cut");
        const std::chrono::duration<double, std::micro> took = Clock::now() - sent_at;
        if (i >= warm_up) latencies.push_back(took.count());
    }
    curfew::bench::say_latencies(std::move(latencies));
}

void run(const Flags& flags) {
    std::vector<std::string> sockets;
    for (int place = 0; place < flags.hops; ++place) sockets.push_back(path_of(flags, place));
    curfew::bench::Children children(std::move(sockets));
    for (int number = 1; number < flags.hops; ++number) children.start([&] { relay(flags, number); });
    for (int i = 0; i < flags.spinners; ++i) children.start(spin);
    measure(flags);
}

}  // namespace

int main(int argc, char** argv) {
    try {
        run(parse(argc, argv));
        return 0;
    } catch (const std::exception& error) {
        std::fprintf(stderr, "curfew-ring: %s\n", error.what());
        return 1;
    }
}
