// A crowd before a group's monitor sockets: clients that ask stats and dump in turn without pause,
// each the next as soon as it has its answer; and clients that ask and never read.
//
//     curfew-crowd --run-dir DIR [--clients N] [--silent N]
//
// They are spread over the processes there are (NAME.monitor.sock). Ends at SIGTERM, and says
// {"answers":N} on stdout; 1 and a line on stderr if anything fails. One thread, and one of
// ZeroMQ's.
#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>
#include <zmq.hpp>

namespace {

struct Flags {
    std::string run_dir;
    unsigned long clients = 100, silent = 20;
};

volatile std::sig_atomic_t ended = 0;

Flags parse(int argc, char** argv) {
    Flags flags;
    for (int i = 1; i + 1 < argc; i += 2) {
        const std::string_view name = argv[i];
        if (name == "--run-dir") flags.run_dir = argv[i + 1];
        if (name == "--clients") flags.clients = std::strtoul(argv[i + 1], nullptr, 10);
        if (name == "--silent") flags.silent = std::strtoul(argv[i + 1], nullptr, 10);
    }
    if (flags.run_dir.empty()) throw std::runtime_error("say --run-dir DIR");
    return flags;
}

std::vector<std::string> endpoints_in(const std::string& run_dir) {
    std::vector<std::string> endpoints;
    for (const auto& entry : std::filesystem::directory_iterator(run_dir)) {
        if (entry.path().string().ends_with(".monitor.sock")) endpoints.push_back("ipc://" + entry.path().string());
    }
    if (endpoints.empty()) throw std::runtime_error("nothing answers in " + run_dir);
    std::sort(endpoints.begin(), endpoints.end());
    return endpoints;
}

zmq::socket_t connect(zmq::context_t& context, zmq::socket_type type, const std::string& endpoint) {
    zmq::socket_t socket(context, type);
    socket.set(zmq::sockopt::linger, 0);
    socket.connect(endpoint);
    return socket;
}

unsigned long run(const Flags& flags) {
    const std::vector<std::string> endpoints = endpoints_in(flags.run_dir);
    zmq::context_t context;
    context.set(zmq::ctxopt::max_sockets, 4096);
    std::vector<zmq::socket_t> silent, clients;
    for (unsigned long i = 0; i < flags.silent; ++i) {
        zmq::socket_t& socket =
            silent.emplace_back(connect(context, zmq::socket_type::dealer, endpoints[i % endpoints.size()]));
        for (bool taken = true; taken && !ended;) {
            taken = socket.send(zmq::message_t(), zmq::send_flags::sndmore | zmq::send_flags::dontwait).has_value() &&
                    socket.send(zmq::str_buffer("dump"), zmq::send_flags::dontwait).has_value();
        }
    }
    std::vector<zmq::pollitem_t> items;
    std::vector<unsigned long> asked(flags.clients, 0);
    const auto next = [&](unsigned long i) {
        const std::string_view question = asked[i]++ % 2 == 0 ? "stats" : "dump";
        clients[i].send(zmq::buffer(question), zmq::send_flags::none);
    };
    for (unsigned long i = 0; i < flags.clients; ++i) {
        clients.push_back(connect(context, zmq::socket_type::req, endpoints[i % endpoints.size()]));
        items.push_back({clients.back().handle(), 0, ZMQ_POLLIN, 0});
        next(i);
    }
    unsigned long answers = 0;
    while (!ended) {
        if (zmq_poll(items.data(), static_cast<int>(items.size()), 1000) < 0) continue;
        for (unsigned long i = 0; i < flags.clients; ++i) {
            zmq::message_t answer;
            if ((items[i].revents & ZMQ_POLLIN) == 0 || !clients[i].recv(answer, zmq::recv_flags::dontwait)) continue;
            ++answers;
            next(i);
        }
    }
    return answers;
}

}  // namespace

int main(int argc, char** argv) {
    std::signal(SIGTERM, [](int) { ended = 1; });
    try {
        std::printf("{\"answers\":%lu}\n", run(parse(argc, argv)));
        return 0;
    } catch (const std::exception& error) {
        std::fprintf(stderr, "curfew-crowd: %s\n", error.what());
        return 1;
    }
}
