// The trivial thing to compare with: one process reads lines and pushes them in frames over an ipc
// PUSH/PULL hop, another counts them and writes them to a file. No numbers, no credit, no second
// attempt: what ZeroMQ and the two files cost alone. The two are forked before there is a ZeroMQ
// context; the parent ends when the child has.
//
//     curfew-raw-hop --input FILE --output FILE [--batch LINES]
//
// Says {"messages":N,"seconds":S,"frames":F} on stdout, from the first frame's arrival to the
// end's; 1 and a line on stderr if anything fails.
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <zmq.hpp>

namespace {

constexpr int kPatienceMs = 30'000;

struct Flags {
    std::string input, output;
    unsigned long batch = 256;
};

Flags parse(int argc, char** argv) {
    Flags flags;
    for (int i = 1; i + 1 < argc; i += 2) {
        const std::string name = argv[i], value = argv[i + 1];
        if (name == "--input") flags.input = value;
        if (name == "--output") flags.output = value;
        if (name == "--batch") flags.batch = std::max(1UL, std::strtoul(value.c_str(), nullptr, 10));
    }
    if (flags.input.empty() || flags.output.empty()) throw std::runtime_error("say --input FILE --output FILE");
    return flags;
}

void send(zmq::socket_t& socket, const std::string& frame) {
    if (!socket.send(zmq::buffer(frame))) throw std::runtime_error("the other end does not read");
}

/// An empty frame is the end.
void push_all(const Flags& flags, const std::string& endpoint) {
    zmq::context_t context;
    zmq::socket_t socket(context, zmq::socket_type::push);
    socket.set(zmq::sockopt::sndtimeo, kPatienceMs);
    socket.set(zmq::sockopt::linger, kPatienceMs);
    socket.connect(endpoint);
    std::ifstream input(flags.input, std::ios::binary);
    if (!input) throw std::runtime_error("cannot read " + flags.input);
    std::string line, frame;
    unsigned long lines = 0;
    while (std::getline(input, line)) {
        frame += line;
        frame += '\n';
        if (++lines % flags.batch != 0) continue;
        send(socket, frame);
        frame.clear();
    }
    if (!frame.empty()) send(socket, frame);
    send(socket, {});
}

void write_all(int file, std::string& bytes) {
    for (std::size_t done = 0; done < bytes.size();) {
        const ssize_t n = write(file, bytes.data() + done, bytes.size() - done);
        if (n < 0 && errno != EINTR) throw std::system_error(errno, std::generic_category(), "output");
        if (n > 0) done += static_cast<std::size_t>(n);
    }
    bytes.clear();
}

void pull_all(const Flags& flags, const std::string& endpoint) {
    zmq::context_t context;
    zmq::socket_t socket(context, zmq::socket_type::pull);
    socket.set(zmq::sockopt::rcvtimeo, kPatienceMs);
    socket.bind(endpoint);
    const int file = open(flags.output.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (file < 0) throw std::system_error(errno, std::generic_category(), flags.output);
    std::string out;
    long messages = 0;
    unsigned long frames = 0;
    std::chrono::steady_clock::time_point first_at;
    for (zmq::message_t frame;; ++frames) {
        if (!socket.recv(frame)) throw std::runtime_error("the other end does not send");
        if (frames == 0) first_at = std::chrono::steady_clock::now();
        if (frame.empty()) break;
        const std::string_view bytes = frame.to_string_view();
        messages += std::count(bytes.begin(), bytes.end(), '\n');
        out += bytes;
        if (out.size() >= 256 * 1024) write_all(file, out);
    }
    write_all(file, out);
    close(file);
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - first_at;
    std::printf("{\"messages\":%ld,\"seconds\":%.6f,\"frames\":%lu}\n", messages, took.count(), frames);
    std::fflush(stdout);
}

int run(const Flags& flags) {
    const std::string path = flags.output + ".sock";
    unlink(path.c_str());
    const pid_t child = fork();
    if (child < 0) throw std::system_error(errno, std::generic_category(), "fork");
    if (child == 0) {
        pull_all(flags, "ipc://" + path);
        return 0;
    }
    push_all(flags, "ipc://" + path);
    int status = 0;
    while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    unlink(path.c_str());
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

}  // namespace

int main(int argc, char** argv) {
    try {
        return run(parse(argc, argv));
    } catch (const std::exception& error) {
        std::fprintf(stderr, "curfew-raw-hop: %s\n", error.what());
        return 1;
    }
}
