// The other processes of a small measurement: forked before there is a context, killed when it is
// over, whatever came of it, and the files of their sockets with them. And what such a measurement
// says.
#pragma once

#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <numeric>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace curfew::bench {

class Children {
public:
    explicit Children(std::vector<std::string> socket_files) : socket_files_(std::move(socket_files)) {}
    Children(const Children&) = delete;
    Children& operator=(const Children&) = delete;
    ~Children() {
        for (const pid_t child : children_) kill(child, SIGKILL);
        for (const pid_t child : children_) waitpid(child, nullptr, 0);
        for (const std::string& file : socket_files_) unlink(file.c_str());
    }

    /// `what` does not return. The child's id.
    template <class What>
    pid_t start(const What& what) {
        const pid_t child = fork();
        if (child < 0) throw std::runtime_error("cannot fork");
        if (child == 0) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            what();
        }
        return children_.emplace_back(child);
    }

private:
    std::vector<std::string> socket_files_;
    std::vector<pid_t> children_;
};

/// Microseconds, one or more; one JSON object on stdout.
inline void say_latencies(std::vector<double> latencies) {
    std::sort(latencies.begin(), latencies.end());
    std::printf("{\"p50_us\":%.1f,\"p99_us\":%.1f,\"mean_us\":%.1f}\n", latencies[latencies.size() / 2],
                latencies[latencies.size() * 99 / 100],
                std::accumulate(latencies.begin(), latencies.end(), 0.0) / static_cast<double>(latencies.size()));
}

}  // namespace curfew::bench
