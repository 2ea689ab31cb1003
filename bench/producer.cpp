// A producer: reads lines and pushes them to a broker's ingest, one message a frame. It ends when
// the other end has taken the last of them, and pushes no faster than that: the two high-water
// marks are all that is under way.
//
//     curfew-producer --ingest ENDPOINT --input FILE
//
// Says {"messages":N,"seconds":S} on stdout, from the first send to the last; 1 and a line on
// stderr if anything fails.
#include <chrono>
#include <cstdio>
#include <fstream>
#include <stdexcept>
#include <string>
#include <zmq.hpp>

namespace {

constexpr int kPatienceMs = 30'000;

struct Flags {
    std::string ingest, input;
};

Flags parse(int argc, char** argv) {
    Flags flags;
    for (int i = 1; i + 1 < argc; i += 2) {
        const std::string name = argv[i], value = argv[i + 1];
        if (name == "--ingest") flags.ingest = value;
        if (name == "--input") flags.input = value;
    }
    if (flags.ingest.empty() || flags.input.empty()) throw std::runtime_error("say --ingest ENDPOINT --input FILE");
    return flags;
}

int run(const Flags& flags) {
    zmq::context_t context;
    zmq::socket_t socket(context, zmq::socket_type::push);
    socket.set(zmq::sockopt::sndtimeo, kPatienceMs);
    socket.set(zmq::sockopt::linger, kPatienceMs);
    socket.connect(flags.ingest);
    std::ifstream input(flags.input, std::ios::binary);
    if (!input) throw std::runtime_error("cannot read " + flags.input);
    const auto begun_at = std::chrono::steady_clock::now();
    unsigned long messages = 0;
    for (std::string line; std::getline(input, line); ++messages) {
        if (!socket.send(zmq::buffer(line))) throw std::runtime_error("the other end does not read");
    }
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begun_at;
    std::printf("{\"messages\":%lu,\"seconds\":%.6f}\n", messages, took.count());
    return 0;
}

}  // namespace

int main(int argc, char** argv) {
    try {
        return run(parse(argc, argv));
    } catch (const std::exception& error) {
        std::fprintf(stderr, "curfew-producer: %s\n", error.what());
        return 1;
    }
}
