// One message at a time through a program that answers each line with a line, over two pipes, and
// nothing else: what `--coprocess` stands beside.
//
//     curfew-pipe-talk --count N [--slots N] COMMAND
//
// Each slot is a process of its own with a COMMAND of its own. Says {"messages":N,"seconds":S} on
// stdout; 1 and a line on stderr if anything fails.
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <stdexcept>
#include <string>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;

struct Ends {
    int in = -1, out = -1;
};

Ends start(const char* command) {
    int in[2], out[2];
    if (pipe(in) != 0 || pipe(out) != 0) throw std::runtime_error("no pipes");
    if (fork() == 0) {
        dup2(in[0], STDIN_FILENO);
        dup2(out[1], STDOUT_FILENO);
        for (const int end : {in[0], in[1], out[0], out[1]}) close(end);
        execlp(command, command, nullptr);
        _exit(127);
    }
    close(in[0]);
    close(out[1]);
    return {in[1], out[0]};
}

int talk(const char* command, std::uint64_t count) {
    const Ends ends = start(command);
    std::string answer;
    for (std::uint64_t number = 0; number < count; ++number) {
        const std::string line = std::to_string(number) + "\n";
        if (write(ends.in, line.data(), line.size()) != static_cast<ssize_t>(line.size())) return 1;
        for (answer.clear(); !answer.ends_with('\n');) {
            char bytes[4096];
            const ssize_t n = read(ends.out, bytes, sizeof bytes);
            if (n <= 0) return 1;
            answer.append(bytes, static_cast<std::size_t>(n));
        }
        if (answer != line) return 1;
    }
    close(ends.in);
    return 0;
}

}  // namespace

int main(int argc, char** argv) {
    std::uint64_t count = 0, slots = 2;
    for (int i = 1; i + 2 < argc; i += 2) {
        if (std::string(argv[i]) == "--count") count = std::strtoull(argv[i + 1], nullptr, 10);
        if (std::string(argv[i]) == "--slots") slots = std::strtoull(argv[i + 1], nullptr, 10);
    }
    if (count == 0 || slots == 0) {
        std::fputs("curfew-pipe-talk: say --count N COMMAND\n", stderr);
        return 1;
    }
    const Clock::time_point began = Clock::now();
    for (std::uint64_t slot = 0; slot < slots; ++slot) {
        if (fork() == 0) _exit(talk(argv[argc - 1], count / slots));
    }
    bool failed = false;
    for (int status = 0; wait(&status) > 0;) failed = failed || status != 0;
    if (failed) {
        std::fputs("curfew-pipe-talk: a program did not answer as it was asked\n", stderr);
        return 1;
    }
    const std::chrono::duration<double> took = Clock::now() - began;
    std::printf("{\"messages\":%llu,\"seconds\":%.6f}\n", static_cast<unsigned long long>(count - count % slots),
                took.count());
    return 0;
}
