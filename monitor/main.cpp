// curfew-monitor: looks at a group (stats, dump) and, by the admin socket, touches it (drain, cancel).
#include <fmt/chrono.h>
#include <fmt/format.h>
#include <poll.h>

#include <cstdio>
#include <ctime>
#include <nlohmann/json.hpp>
#include <stdexcept>

#include "common/exit_code.h"
#include "common/options.h"
#include "common/run_dir.h"
#include "common/socket.h"
#include "monitor/client.h"
#include "monitor/view.h"

namespace {

using namespace curfew;
using nlohmann::json;

constexpr Duration kPatience = std::chrono::seconds(2);
constexpr int kUnanswered = 2;

struct Flags {
    std::string run_dir, connect;
    bool as_json = false;
    Duration watch{};
    std::uint64_t limit = 1000;
    std::vector<std::string> words;

    explicit Flags(Options& options) {
        if (const char* dir = std::getenv("CURFEW_RUN_DIR")) run_dir = dir;
        if (run_dir.empty()) run_dir = default_run_dir();
        options.text("--run-dir", run_dir, "Look at the processes in this run directory");
        options.text("--connect", connect, "Look at one process, by its monitor (or admin) endpoint");
        options.flag("--json", as_json, "One JSON object a process, as it was answered");
        options.duration("--watch", watch, Duration::zero(), std::chrono::hours(24 * 7), "stats: a line each time");
        options.count("--limit", limit, 1, 1'000'000, "dump: most attempts to list for a process");
        options.rest(words, "stats | dump | drain | cancel SEQ...");
    }
};

/// Asks each; prints what `show` makes of the answer. True if all answered.
bool each(Client& client, const std::vector<Target>& targets, const std::string& request, const Flags& flags,
          std::string (*show)(const json&)) {
    bool all = true;
    for (const Target& target : targets) {
        const auto answer = client.ask(target.endpoint, request, kPatience);
        if (!answer) {
            fmt::print(stderr, "curfew-monitor: {} does not answer at {}\n", target.name, target.endpoint);
            all = false;
            continue;
        }
        if (flags.as_json) {
            fmt::print("{}\n", *answer);
            continue;
        }
        const json snapshot = json::parse(*answer, nullptr, false);
        fmt::print("{}", snapshot.is_object() ? show(snapshot) : *answer);
    }
    std::fflush(stdout);
    return all;
}

int watch(Client& client, const Target& broker, const Flags& flags) {
    for (;;) {
        const auto answer = client.ask(broker.endpoint, "stats", kPatience);
        const std::string time = fmt::format("{:%Y-%m-%dT%H:%M:%S}", fmt::localtime(std::time(nullptr)));
        if (!answer) {
            fmt::print(stderr, "{}  {} does not answer: gone\n", time, broker.name);
            return kUnanswered;
        }
        const json snapshot = json::parse(*answer, nullptr, false);
        fmt::print("{}", flags.as_json ? *answer + "\n" : watch_line(snapshot, time));
        std::fflush(stdout);
        (void)poll(nullptr, 0,
                   static_cast<int>(std::chrono::duration_cast<std::chrono::milliseconds>(flags.watch).count()));
    }
}

int command_admin(Client& client, const Flags& flags, const std::string& request) {
    const std::string endpoint = flags.connect.empty() ? "ipc://" + flags.run_dir + "/admin.sock" : flags.connect;
    const auto answer = client.ask(endpoint, request, kPatience);
    if (!answer) {
        fmt::print(stderr, "curfew-monitor: the broker does not answer at {}\n", endpoint);
        return kUnanswered;
    }
    fmt::print("{}\n", *answer);
    const json said = json::parse(*answer, nullptr, false);
    return said.is_object() && said.value("ok", false) ? kExitOk : kExitIncomplete;
}

int run(const Flags& flags, const Options& options) {
    const std::string verb = flags.words.empty() ? "" : flags.words.front();
    const bool alone = flags.words.size() == 1;
    Client client;
    const auto targets = [&] {
        return flags.connect.empty() ? targets_in(flags.run_dir) : std::vector<Target>{{"the process", flags.connect}};
    };
    if (verb == "stats" && alone) {
        if (flags.watch > Duration::zero()) return watch(client, targets().front(), flags);
        return each(client, targets(), "stats", flags, stats_text) ? kExitOk : kUnanswered;
    }
    if (verb == "dump" && alone) {
        return each(client, targets(), json{{"ask", "dump"}, {"limit", flags.limit}}.dump(), flags, dump_text)
                   ? kExitOk
                   : kUnanswered;
    }
    if (verb == "drain" && alone) return command_admin(client, flags, R"({"do":"drain"})");
    if (verb == "cancel" && flags.words.size() > 1) {
        int code = kExitOk;
        for (std::size_t i = 1; i < flags.words.size(); ++i) {
            const auto seq = parse_count(flags.words[i]);
            if (!seq) return options.refuse(fmt::format("cancel: '{}' is not the number of a task", flags.words[i]));
            code = std::max(code, command_admin(client, flags, json{{"do", "cancel"}, {"seq", *seq}}.dump()));
        }
        return code;
    }
    return options.refuse("say one of: stats, dump, drain, cancel SEQ...");
}

}  // namespace

int main(int argc, char** argv) {
    Options options("curfew-monitor",
                    "Looks at a group of curfew processes: what is in flight, where, and for how long.");
    Flags flags(options);
    if (const auto code = options.parse(argc, argv)) return *code;
    try {
        return run(flags, options);
    } catch (const std::exception& error) {
        return options.refuse(error.what());
    }
}
