#include "monitor/client.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <stdexcept>

#include "common/process/clock.h"
#include "common/process/poller.h"
#include "common/process/socket.h"

namespace curfew {

std::vector<Target> targets_in(const std::string& run_dir) {
    constexpr std::string_view kSuffix = ".monitor.sock";
    std::vector<Target> targets;
    std::error_code error;
    for (const auto& entry : std::filesystem::directory_iterator(run_dir, error)) {
        const std::string file = entry.path().filename();
        if (!file.ends_with(kSuffix)) continue;
        targets.push_back({file.substr(0, file.size() - kSuffix.size()), "ipc://" + entry.path().string()});
    }
    if (error)
        throw std::runtime_error(fmt::format("cannot look into run directory '{}': {}", run_dir, error.message()));
    if (targets.empty())
        throw std::runtime_error(fmt::format("nothing runs in '{}'; say --run-dir or --connect", run_dir));
    const auto rank = [](const Target& target) {
        return target.name == "broker" ? 0 : target.name == "collector" ? 1 : 2;
    };
    std::ranges::sort(targets, [&](const Target& a, const Target& b) {
        // w2 before w10.
        return std::tuple(rank(a), a.name.size(), a.name) < std::tuple(rank(b), b.name.size(), b.name);
    });
    return targets;
}

Client::Client() : context_(make_context()) {}

std::optional<std::string> Client::ask(const std::string& endpoint, const std::string& request, Duration patience) {
    return ask_all({{{}, endpoint}}, request, patience).front();
}

std::vector<std::optional<std::string>> Client::ask_all(const std::vector<Target>& targets, const std::string& request,
                                                        Duration patience) {
    const Instant until = Clock::now() + patience;
    // A socket for each question: a REQ that was not answered cannot be used again.
    std::vector<Socket> sockets;
    sockets.reserve(targets.size());
    for (const Target& target : targets) {
        check_endpoint(target.endpoint, false, Reach::anybody);  // a question is no secret
        const Socket::Marks marks{.linger = Duration::zero()};
        sockets.push_back(Socket::connected(context_, zmq::socket_type::req, target.endpoint, marks));
        (void)sockets.back().send(request);
    }
    std::vector<std::optional<std::string>> answers(targets.size());
    for (std::size_t left = targets.size(); left > 0 && Clock::now() < until;) {
        Poller poller;
        for (std::size_t i = 0; i < sockets.size(); ++i) {
            if (!answers[i]) poller.add(sockets[i]);
        }
        poller.wait(until);
        for (std::size_t i = 0; i < sockets.size(); ++i) {
            std::string_view answer;
            if (answers[i] || !sockets[i].receive(answer)) continue;
            answers[i] = std::string(answer);
            --left;
        }
    }
    return answers;
}

}  // namespace curfew
