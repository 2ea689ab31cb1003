#include "monitor/commands.h"

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <poll.h>

#include <algorithm>
#include <cstdio>
#include <ctime>
#include <nlohmann/json.hpp>
#include <optional>

#include "common/process/clock.h"
#include "common/words/exit_code.h"
#include "monitor/admin_text.h"
#include "monitor/check.h"
#include "monitor/client.h"
#include "monitor/dead_letters.h"
#include "monitor/dump_view.h"
#include "monitor/events.h"
#include "monitor/fields.h"
#include "monitor/group.h"
#include "monitor/serve.h"
#include "monitor/terminal.h"
#include "monitor/top.h"
#include "monitor/view.h"

namespace curfew {
namespace {

using nlohmann::json;

constexpr Duration kPatience = std::chrono::seconds(2);
constexpr int kUnanswered = 2;

std::vector<Target> targets_of(const MonitorOptions& options) {
    if (!options.connect.empty()) return {{"the process", options.connect}};
    return targets_in(options.run_dir);
}

/// Asks each; prints what `show` makes of the answer. True if all answered.
bool each(Client& client, const std::vector<Target>& targets, const std::string& request, const MonitorOptions& options,
          std::string (*show)(const json&)) {
    bool all = true;
    for (const Target& target : targets) {
        const auto answer = client.ask(target.endpoint, request, kPatience);
        if (!answer) {
            fmt::print(stderr, "curfew-monitor: {} does not answer at {}\n", target.name, target.endpoint);
            all = false;
            continue;
        }
        if (options.as_json) {
            fmt::print("{}\n", *answer);
            continue;
        }
        const json snapshot = json::parse(*answer, nullptr, false);
        fmt::print("{}", snapshot.is_object() ? show(snapshot) : *answer);
    }
    std::fflush(stdout);
    return all;
}

/// Whether no process of the group answers: it is not only the broker.
bool has_ended(const MonitorOptions& options) {
    try {
        return !anybody_answers(Group(options.run_dir, options.connect).stats());
    } catch (const std::runtime_error&) {  // there is none
        return true;
    }
}

int watch(Client& client, const Target& broker, const MonitorOptions& options) {
    std::string last;  // its line
    for (;;) {
        const auto answer = client.ask(broker.endpoint, "stats", kPatience);
        const std::string time = fmt::format("{:%Y-%m-%dT%H:%M:%S}", fmt::localtime(std::time(nullptr)));
        if (!answer) {
            const bool ended = !last.empty() && options.connect.empty() && has_ended(options);
            fmt::print(
                stderr, "{}  {}", time,
                ended ? "the group ended; its last figures:\n" + last : broker.name + " does not answer: gone\n");
            return kUnanswered;
        }
        const json snapshot = json::parse(*answer, nullptr, false);
        last = watch_line(snapshot, time);
        fmt::print("{}", options.as_json ? *answer + "\n" : last);
        std::fflush(stdout);
        (void)poll(nullptr, 0,
                   static_cast<int>(std::chrono::duration_cast<std::chrono::milliseconds>(options.watch).count()));
    }
}

std::string admin_endpoint(const MonitorOptions& options) {
    return options.connect.empty() ? "ipc://" + options.run_dir + "/admin.sock" : options.connect;
}

json dump_query(const MonitorOptions& options) {
    json query = {{"limit", options.limit}};
    if (options.older_than > Duration::zero())
        query["older_than_s"] = std::chrono::duration<double>(options.older_than).count();
    if (!options.worker.empty()) query["worker"] = options.worker;
    if (!options.state.empty()) query["state"] = options.state;
    return query;
}

int dump_group(const MonitorOptions& options) {
    json query = dump_query(options);
    if (options.group) query["limit"] = 0;
    const json whole = Group(options.run_dir, options.connect, kPatience).dump(query);
    fmt::print("{}", options.as_json ? whole.dump(-1, ' ', false, json::error_handler_t::replace) + "\n"
                                     : group_dump_text(whole, !options.group, columns_of_stdout()));
    std::fflush(stdout);
    for (const json& name : whole["unanswered"])
        fmt::print(stderr, "curfew-monitor: {} does not answer\n", name.get<std::string>());
    return whole["unanswered"].empty() && !whole["in_flight"].is_null() ? kExitOk : kUnanswered;
}

/// One process that was named is shown as it says it.
int dump(Client& client, const MonitorOptions& options) {
    if (!options.by_process && (options.group || options.connect.empty())) return dump_group(options);
    json query = dump_query(options);
    query["ask"] = "dump";
    return each(client, targets_of(options), query.dump(), options, dump_text) ? kExitOk : kUnanswered;
}

int follow(Client& client, const MonitorOptions& options) {
    const Target broker = targets_of(options).front();
    if (options.as_json || (!options.as_text && !stdout_is_terminal()))
        return follow_ends(client, broker, kPatience, end_lines);
    EndTable table(columns_of_stdout(), locale_is_utf8());
    return follow_ends(client, broker, kPatience,
                       [&](const json& answer, WallTime now) { return table.lines(answer, now); });
}

int tell_story(const MonitorOptions& options) {
    const std::string& task = options.words[1];
    const json story = Group(options.run_dir, options.connect, kPatience).story(task);
    if (story.is_null()) {
        fmt::print(stderr, "curfew-monitor: the broker does not answer: it alone knows the story of a task\n");
        return kUnanswered;
    }
    if (options.as_json) fmt::print("{}\n", story.dump(-1, ' ', false, json::error_handler_t::replace));
    if (const std::string why = why_no_story(story, task); !why.empty()) {
        fmt::print(stderr, "curfew-monitor: {}\n", why);
        return kExitIncomplete;
    }
    if (!options.as_json) fmt::print("{}", story_text(story, columns_of_terminal(), locale_is_utf8()));
    return kExitOk;
}

void sleep_until(Instant at) {
    const auto ms = std::chrono::ceil<std::chrono::milliseconds>(at - Clock::now()).count();
    if (ms > 0) (void)poll(nullptr, 0, static_cast<int>(ms));
}

/// Attempts in flight, seen evenly over the window.
std::vector<std::uint64_t> watch_growth(Group& group, Duration window) {
    constexpr int kSamples = 60;
    std::vector<std::uint64_t> samples;
    const Instant began = Clock::now();
    for (int i = 0; i < kSamples; ++i) {
        sleep_until(began + window * i / kSamples);
        const auto stats = group.stats();
        const json& broker = broker_of(stats);
        if (broker.is_null()) break;  // the check says so
        samples.push_back(count(field(broker, "attempts"), "in_flight"));
    }
    return samples;
}

/// In the way of the monitoring plugins: one line, and 0 to 3.
int check_group(const MonitorOptions& options) {
    try {
        Group group(options.run_dir, options.connect);
        Limits limits;
        limits.drained = options.drained;
        limits.most_in_flight = options.max_in_flight;
        if (options.max_age > Duration::zero()) limits.oldest = options.max_age;
        const Instant began = Clock::now();
        limits.most_failed = options.max_failed;
        if (options.max_failed) limits.earlier = broker_of(group.stats());
        std::vector<std::uint64_t> samples;
        if (options.growth > Duration::zero()) samples = watch_growth(group, options.growth);
        if (options.max_failed) sleep_until(began + options.failed_window);
        const Finding finding = with_growth(check(group.stats(), limits), samples, options.growth);
        fmt::print("{}\n", finding.line);
        return static_cast<int>(finding.health);
    } catch (const std::exception& error) {
        fmt::print("CURFEW UNKNOWN - {}\n", error.what());
        return static_cast<int>(Health::unknown);
    }
}

int top_group(Client& client, const MonitorOptions& options) {
    Group group(options.run_dir, options.connect);
    TopOptions top;
    top.group = options.group_name;
    top.once = options.once;
    if (options.watch > Duration::zero()) top.every = options.watch;
    const auto look = [&] {
        constexpr int kOldest = 200;
        return Look{group.stats(), group.dump({{"limit", kOldest}})};
    };
    const auto cancel = [&](std::uint64_t seq) {
        const auto answer = client.ask(admin_endpoint(options), json{{"do", "cancel"}, {"seq", seq}}.dump(), kPatience);
        return answer ? admin_text("cancel", seq, json::parse(*answer, nullptr, false))
                      : fmt::format("task {}: the broker does not answer", seq);
    };
    return run_top(top, look, cancel);
}

/// `seq`: of the task that is to be cancelled.
int command_admin(Client& client, const MonitorOptions& options, const std::string& verb, std::uint64_t seq = 0) {
    const std::string endpoint = admin_endpoint(options);
    json request = {{"do", verb}};
    if (verb == "cancel") request["seq"] = seq;
    const auto answer = client.ask(endpoint, request.dump(), kPatience);
    if (!answer) {
        fmt::print(stderr, "curfew-monitor: the broker does not answer at {}\n", endpoint);
        return kUnanswered;
    }
    const json said = json::parse(*answer, nullptr, false);
    fmt::print("{}\n", options.as_json ? *answer : admin_text(verb, seq, said));
    return said.is_object() && said.value("ok", false) ? kExitOk : kExitIncomplete;
}

}  // namespace

int run_command(const MonitorOptions& options) {
    const std::string& verb = options.words.front();
    if (verb == "dead-letters") return dead_letters(options);
    Client client;
    if (verb == "stats") {
        if (options.watch > Duration::zero()) return watch(client, targets_of(options).front(), options);
        const auto asked = targets_of(options);
        if (!options.group_name.empty() && !options.as_json) fmt::print("group {}\n", options.group_name);
        return each(client, asked, "stats", options, stats_text) ? kExitOk : kUnanswered;
    }
    if (verb == "dump") return dump(client, options);
    if (verb == "events") return follow(client, options);
    if (verb == "story") return tell_story(options);
    if (verb == "check") return check_group(options);
    if (verb == "top") return top_group(client, options);
    if (verb == "serve")
        return serve(options.serve_options(), Group(options.run_dir, options.connect),
                     Group(options.run_dir, options.connect));
    if (verb != "cancel") return command_admin(client, options, verb);
    int code = kExitOk;
    for (std::size_t i = 1; i < options.words.size(); ++i) {
        code = std::max(code, command_admin(client, options, verb, parse_count(options.words[i]).value()));
    }
    return code;
}

}  // namespace curfew
