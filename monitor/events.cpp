#include "monitor/events.h"

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <poll.h>

#include <cstdio>
#include <nlohmann/json.hpp>
#include <utility>

#include "common/words/exit_code.h"
#include "monitor/fields.h"

namespace curfew {
namespace {

constexpr int kEveryMs = 200;

std::string time_text(std::chrono::system_clock::time_point at) {
    const auto ms = std::chrono::floor<std::chrono::milliseconds>(at);
    const auto s = std::chrono::floor<std::chrono::seconds>(ms);
    return fmt::format("{:%Y-%m-%dT%H:%M:%S}.{:03}Z", fmt::gmtime(std::chrono::system_clock::to_time_t(s)),
                       (ms - s).count());
}

}  // namespace

std::string end_lines(const nlohmann::json& answer, std::chrono::system_clock::time_point now) {
    std::string out;
    if (const auto missed = count(answer, "missed"); missed > 0) out += fmt::format("{{\"missed\":{}}}\n", missed);
    const nlohmann::json& ends = field(answer, "ends");
    if (!ends.is_array()) return out;
    for (const nlohmann::json& end : ends) {
        const auto ago = std::chrono::duration<double>(real(end, "ago_s").value_or(0));
        nlohmann::ordered_json line = {
            {"time", time_text(now - std::chrono::duration_cast<std::chrono::milliseconds>(ago))}};
        for (const char* name : {"seq", "id", "attempt", "worker", "end", "called_home", "hedge", "took_s", "error",
                                 "session", "number", "left_out"}) {
            line[name] = field(end, name);
        }
        out += line.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
    }
    return out;
}

int follow_ends(Client& client, const Target& broker, Duration patience) {
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
        if (same) fmt::print("{}", end_lines(answer, std::chrono::system_clock::now()));
        // One that has begun anew numbers them anew: its first answer tells from where on.
        request["after"] = count(answer, "next");
        if (std::fflush(stdout) != 0) return kExitIo;
    }
}

}  // namespace curfew
