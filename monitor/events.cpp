#include "monitor/events.h"

#include <fmt/format.h>
#include <poll.h>

#include <chrono>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <utility>

#include "common/words/exit_code.h"
#include "monitor/fields.h"

namespace curfew {
namespace {

constexpr int kEveryMs = 200;

}  // namespace

int follow_ends(Client& client, const Target& broker, Duration patience,
                const std::function<std::string(const nlohmann::json& answer, WallTime now)>& show) {
    constexpr int kUnanswered = 2;
    nlohmann::json request = {{"ask", "ends"}};
    std::uint64_t incarnation = 0;
    for (;; (void)poll(nullptr, 0, kEveryMs)) {
        const auto said = client.ask(broker.endpoint, request.dump(), patience);
        const auto answer = said ? nlohmann::json::parse(*said, nullptr, false) : nlohmann::json();
        if (!answer.is_object() || !answer.contains("ends")) {
            fmt::print(stderr, "curfew-monitor: {} {}\n", broker.name,
                       said ? "does not say what ends: " + *said : "does not answer: gone");
            return kUnanswered;
        }
        const bool same = std::exchange(incarnation, count(answer, "incarnation")) == count(answer, "incarnation");
        if (same) fmt::print("{}", show(answer, std::chrono::system_clock::now()));
        // One that has begun anew numbers them anew: its first answer tells from where on.
        request["after"] = count(answer, "next");
        if (std::fflush(stdout) != 0) return kExitIo;
    }
}

}  // namespace curfew
