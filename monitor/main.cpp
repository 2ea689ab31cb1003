// curfew-monitor: looks at a group (stats, dump, events, top, check, serve) and, by the admin socket, touches it
// (drain, pause, resume, cancel).
#include <fmt/chrono.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <poll.h>

#include <algorithm>
#include <cstdio>
#include <ctime>
#include <fstream>
#include <nlohmann/json.hpp>
#include <optional>
#include <stdexcept>

#include "common/process/clock.h"
#include "common/process/options.h"
#include "common/process/run_dir.h"
#include "common/process/socket.h"
#include "common/process/suggestion.h"
#include "common/words/exit_code.h"
#include "monitor/check.h"
#include "monitor/client.h"
#include "monitor/events.h"
#include "monitor/fields.h"
#include "monitor/group.h"
#include "monitor/serve.h"
#include "monitor/top.h"
#include "monitor/view.h"

namespace {

using namespace curfew;
using nlohmann::json;

constexpr Duration kPatience = std::chrono::seconds(2);
constexpr int kUnanswered = 2;

struct Flags {
    std::string run_dir, connect;
    bool as_json = false;
    Duration watch{}, older_than{}, max_age{}, growth{};
    std::uint64_t limit = 1000;
    std::optional<std::uint64_t> max_in_flight;
    bool group = false, drained = false, once = false;
    std::string worker, state, http = "127.0.0.1:9464", token_file;
    std::vector<std::string> words;

    explicit Flags(Options& options) {
        if (const char* dir = std::getenv("CURFEW_RUN_DIR")) run_dir = dir;
        if (run_dir.empty()) run_dir = default_run_dir();
        options.text("--run-dir", run_dir, "Look at the processes in this run directory");
        options.text("--connect", connect, "Look at one process, by its monitor (or admin) endpoint");
        options.flag("--json", as_json, "One JSON object a process, as it was answered");
        options.duration("--watch", watch, Duration::zero(), std::chrono::hours(24 * 7),
                         "stats: a line each time; top: look so often");
        options.count("--limit", limit, 1, 1'000'000, "dump: most attempts to list for a process");
        options.flag("--group", group, "dump: count what is in the same place, for the whole group");
        options.duration("--older-than", older_than, Duration::zero(), std::chrono::hours(24 * 365),
                         "dump: only attempts at least as old");
        options.text("--worker", worker, "dump: only attempts of this worker");
        options.choice("--state", state, {"queued", "running", "cancelling", "reported"},
                       "dump: only attempts in this state: queued, running, cancelling or reported");
        options.value("--max-in-flight", "any", "check: most attempts in flight", [this](const std::string& text) {
            max_in_flight = parse_count(text);
            return max_in_flight ? std::nullopt : std::optional<std::string>("say a number");
        });
        options.duration("--max-age", max_age, Duration::zero(), std::chrono::hours(24 * 365),
                         "check: of the oldest attempt (0: any)");
        options.duration("--growth", growth, Duration::zero(), std::chrono::hours(24),
                         "check: watch for so long whether what is in flight only rises (0: do not)");
        options.flag("--drained", drained, "check: nothing may be alive");
        options.flag("--once", once, "top: print one screen, and end");
        options.text("--http", http, "serve: ADDRESS:PORT to listen at");
        options.text("--token-file", token_file,
                     "serve: who asks has to say what is in this file; needed beyond loopback");
        options.rest(words, "stats | dump | events | top | check | serve | drain | pause | resume | cancel SEQ...");
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

std::string admin_endpoint(const Flags& flags) {
    return flags.connect.empty() ? "ipc://" + flags.run_dir + "/admin.sock" : flags.connect;
}

int dump(Client& client, const std::vector<Target>& targets, const Flags& flags) {
    json query = {{"limit", flags.limit}};
    if (flags.older_than > Duration::zero())
        query["older_than_s"] = std::chrono::duration<double>(flags.older_than).count();
    if (!flags.worker.empty()) query["worker"] = flags.worker;
    if (!flags.state.empty()) query["state"] = flags.state;
    if (!flags.group) {
        query["ask"] = "dump";
        return each(client, targets, query.dump(), flags, dump_text) ? kExitOk : kUnanswered;
    }
    query["limit"] = 0;
    const json whole = Group(flags.run_dir, flags.connect).dump(query);
    fmt::print("{}", flags.as_json ? whole.dump() + "\n" : group_dump_text(whole, false));
    return whole["in_flight"].is_null() ? kUnanswered : kExitOk;
}

/// Attempts in flight, seen evenly over the window.
std::vector<std::uint64_t> watch_growth(Group& group, Duration window) {
    constexpr int kSamples = 60;
    std::vector<std::uint64_t> samples;
    const Instant began = Clock::now();
    for (int i = 0; i < kSamples; ++i) {
        const Duration left = began + window * i / kSamples - Clock::now();
        const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(left).count();
        if (ms > 0) (void)poll(nullptr, 0, static_cast<int>(ms));
        const auto stats = group.stats();
        const json& broker = broker_of(stats);
        if (broker.is_null()) break;  // the check says so
        samples.push_back(count(field(broker, "attempts"), "in_flight"));
    }
    return samples;
}

/// In the way of the monitoring plugins: one line, and 0 to 3.
int check_group(const Flags& flags) {
    try {
        Group group(flags.run_dir, flags.connect);
        Limits limits;
        limits.drained = flags.drained;
        limits.most_in_flight = flags.max_in_flight;
        if (flags.max_age > Duration::zero()) limits.oldest = flags.max_age;
        std::vector<std::uint64_t> samples;
        if (flags.growth > Duration::zero()) samples = watch_growth(group, flags.growth);
        const Finding finding = with_growth(check(group.stats(), limits), samples, flags.growth);
        fmt::print("{}\n", finding.line);
        return static_cast<int>(finding.health);
    } catch (const std::exception& error) {
        fmt::print("CURFEW UNKNOWN - {}\n", error.what());
        return static_cast<int>(Health::unknown);
    }
}

int top_group(Client& client, const Flags& flags) {
    Group group(flags.run_dir, flags.connect);
    TopOptions top;
    top.once = flags.once;
    if (flags.watch > Duration::zero()) top.every = flags.watch;
    const auto look = [&] {
        constexpr int kOldest = 200;
        return Look{group.stats(), group.dump({{"limit", kOldest}})};
    };
    const auto cancel = [&](std::uint64_t seq) {
        const std::string request = json{{"do", "cancel"}, {"seq", seq}}.dump();
        return client.ask(admin_endpoint(flags), request, kPatience).value_or("the broker does not answer");
    };
    return run_top(top, look, cancel);
}

/// What --http and --token-file say. Throws std::invalid_argument.
ServeOptions serve_options(const Flags& flags) {
    ServeOptions serving;
    const std::size_t colon = flags.http.rfind(':');
    const auto port =
        colon == std::string::npos ? std::nullopt : parse_count(std::string_view(flags.http).substr(colon + 1));
    if (!port || *port > 65535 || colon == 0) {
        throw std::invalid_argument(fmt::format("--http: '{}' is no ADDRESS:PORT, like 127.0.0.1:9464", flags.http));
    }
    serving.host = flags.http.substr(0, colon);
    serving.port = static_cast<std::uint16_t>(*port);
    if (!flags.token_file.empty()) {
        std::ifstream file(flags.token_file);
        if (!(file >> serving.token))
            throw Unusable(kExitUsage, fmt::format("--token-file: there is no token in '{}'", flags.token_file));
    }
    const bool is_address =
        serving.host.find_first_not_of("0123456789.") == std::string::npos;  // 127.example.org is not
    const bool loopback =
        (is_address && serving.host.starts_with("127.")) || serving.host == "localhost" || serving.host == "::1";
    if (!loopback && serving.token.empty()) {
        throw std::invalid_argument(
            fmt::format("--http: others can reach {}: give a --token-file, or listen at 127.0.0.1", serving.host));
    }
    return serving;
}

int command_admin(Client& client, const Flags& flags, const std::string& request) {
    const std::string endpoint = admin_endpoint(flags);
    const auto answer = client.ask(endpoint, request, kPatience);
    if (!answer) {
        fmt::print(stderr, "curfew-monitor: the broker does not answer at {}\n", endpoint);
        return kUnanswered;
    }
    fmt::print("{}\n", *answer);
    const json said = json::parse(*answer, nullptr, false);
    return said.is_object() && said.value("ok", false) ? kExitOk : kExitIncomplete;
}

/// Judges the command and what goes with it. Throws std::invalid_argument, EndpointError.
void check_words(const Flags& flags) {
    const std::vector<std::string> verbs = {"stats", "dump",  "events", "top",    "check",
                                            "serve", "drain", "pause",  "resume", "cancel"};
    const std::string verb = flags.words.empty() ? "" : flags.words.front();
    const std::string all = fmt::format("say one of: {} SEQ...", fmt::join(verbs, ", "));
    if (verb.empty()) throw std::invalid_argument(all);
    if (std::ranges::find(verbs, verb) == verbs.end())
        throw std::invalid_argument(fmt::format("unknown command '{}'{}; {}", verb, did_you_mean(verb, verbs), all));
    if (verb == "cancel" && flags.words.size() == 1)
        throw std::invalid_argument("cancel: the number of a task is missing; " + all);
    if (verb != "cancel" && flags.words.size() > 1)
        throw std::invalid_argument(fmt::format("{}: '{}' is one word too many; {}", verb, flags.words[1], all));
    for (std::size_t i = 1; i < flags.words.size(); ++i) {
        if (!parse_count(flags.words[i]))
            throw std::invalid_argument(fmt::format("cancel: '{}' is not the number of a task", flags.words[i]));
    }
    if (!flags.connect.empty()) check_endpoint(flags.connect, false, Reach::anybody);
    if (verb == "serve") (void)serve_options(flags);
}

/// What check_words() has let pass.
int run(const Flags& flags) {
    const std::string& verb = flags.words.front();
    Client client;
    const auto targets = [&] {
        return flags.connect.empty() ? targets_in(flags.run_dir) : std::vector<Target>{{"the process", flags.connect}};
    };
    if (verb == "stats") {
        if (flags.watch > Duration::zero()) return watch(client, targets().front(), flags);
        return each(client, targets(), "stats", flags, stats_text) ? kExitOk : kUnanswered;
    }
    if (verb == "dump") return dump(client, flags.group ? std::vector<Target>() : targets(), flags);
    if (verb == "events") return follow_ends(client, targets().front(), kPatience);
    if (verb == "check") return check_group(flags);
    if (verb == "top") return top_group(client, flags);
    if (verb == "serve")
        return serve(serve_options(flags), Group(flags.run_dir, flags.connect), Group(flags.run_dir, flags.connect));
    if (verb != "cancel") return command_admin(client, flags, json{{"do", verb}}.dump());
    int code = kExitOk;
    for (std::size_t i = 1; i < flags.words.size(); ++i) {
        const json request = {{"do", "cancel"}, {"seq", parse_count(flags.words[i]).value()}};
        code = std::max(code, command_admin(client, flags, request.dump()));
    }
    return code;
}

}  // namespace

int main(int argc, char** argv) {
    Options options("curfew-monitor",
                    "Looks at a group of curfew processes: what is in flight, where, and for how long.");
    Flags flags(options);
    if (const auto code = options.parse(argc, argv)) return *code;
    try {
        check_words(flags);
    } catch (const Unusable& error) {
        return options.fail(error.code, error.what());
    } catch (const std::exception& error) {
        return options.refuse(error.what());
    }
    if (options.only_checks()) return kExitOk;
    try {
        return run(flags);
    } catch (const std::exception& error) {
        return options.fail(kExitUsage, error.what());
    }
}
