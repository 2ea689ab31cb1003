#include "monitor/options.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>
#include <stdexcept>

#include "common/process/run_dir.h"
#include "common/process/self.h"
#include "common/process/socket.h"
#include "common/process/suggestion.h"
#include "common/words/exit_code.h"
#include "common/words/limits.h"

namespace curfew {
namespace {

void check_numbers(const std::vector<std::string>& words, std::size_t from, const std::string& verb, const char* noun) {
    for (std::size_t i = from; i < words.size(); ++i) {
        if (!parse_count(words[i]))
            throw std::invalid_argument(fmt::format("{}: '{}' is not the number of a {}", verb, words[i], noun));
    }
}

/// Prometheus reads nothing at all where one label is no UTF-8.
bool is_label(const std::string& text) {
    const std::string kept = nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::ignore);
    return limits::printable(text) && text.size() <= limits::kNameBytes &&
           nlohmann::json::parse(kept).get_ref<const std::string&>() == text;
}

}  // namespace

MonitorOptions::MonitorOptions(Options& options) {
    if (const char* dir = std::getenv("CURFEW_RUN_DIR")) run_dir = dir;
    if (run_dir.empty()) run_dir = default_run_dir();
    options.text("--run-dir", run_dir, "Look at the processes in this run directory");
    options.text("--connect", connect, "Look at one process, by its monitor (or admin) endpoint");
    options.flag("--json", as_json, "One JSON object a process, or an answer, as it came");
    options.flag("--text", as_text, "events: a table, also where stdout is no terminal; elsewhere it is JSON lines");
    options.duration("--watch", watch, Duration::zero(), std::chrono::hours(24 * 7),
                     "stats: a line each time; top: look so often");
    options.count("--limit", limit, 1, 1'000'000, "dump: most attempts to list; dead-letters ls: most letters");
    options.flag("--by-process", by_process, "dump: of each process by itself, as it says it");
    options.former_flag("--group", group);
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
    options.value("--max-failed", "any", "check: largest share of the attempts that end meanwhile and fail: 5% or 0.05",
                  [this](const std::string& text) {
                      max_failed = parse_share(text);
                      return max_failed ? std::nullopt : std::optional<std::string>("say a share, like 5% or 0.05");
                  });
    options.duration("--failed-window", failed_window, std::chrono::milliseconds(1), std::chrono::hours(24),
                     "check: for so long --max-failed looks");
    options.flag("--drained", drained, "check: nothing may be alive");
    options.flag("--once", once, "top: print one screen, and end");
    options.flag("--null", null, "dead-letters retry: messages end with a NUL byte, not with a newline");
    options.text("--http", http, "serve: ADDRESS:PORT to listen at");
    options.text("--token-file", token_file, "serve: who asks has to say what is in this file; needed beyond loopback");
    options.text("--group-name", group_name,
                 "serve, stats, top: what the group is called, among others; empty: as the machine, or not said");
    options.rest(
        words,
        "stats | dump | events | story SEQ|ID | top | check | serve | drain | pause | resume | cancel SEQ... | "
        "dead-letters ls FILE | dead-letters show FILE SEQ | dead-letters retry FILE [SEQ...]");
}

std::string MonitorOptions::name_of_group() const {
    if (!group_name.empty()) return group_name;
    const std::string host = host_name();
    return limits::is_name(host) ? host : "group";
}

ServeOptions MonitorOptions::serve_options() const {
    ServeOptions serving;
    serving.group = name_of_group();
    const std::size_t colon = http.rfind(':');
    const auto port = colon == std::string::npos ? std::nullopt : parse_count(std::string_view(http).substr(colon + 1));
    if (!port || *port > 65535 || colon == 0) {
        throw std::invalid_argument(fmt::format("--http: '{}' is no ADDRESS:PORT, like 127.0.0.1:9464", http));
    }
    serving.host = http.substr(0, colon);
    serving.port = static_cast<std::uint16_t>(*port);
    if (!token_file.empty()) {
        std::ifstream file(token_file);
        if (!(file >> serving.token))
            throw Unusable(kExitUsage, fmt::format("--token-file: there is no token in '{}'", token_file));
    }
    // 127.example.org is none.
    const bool is_address = serving.host.find_first_not_of("0123456789.") == std::string::npos;
    const bool loopback =
        (is_address && serving.host.starts_with("127.")) || serving.host == "localhost" || serving.host == "::1";
    if (!loopback && serving.token.empty()) {
        throw std::invalid_argument(
            fmt::format("--http: others can reach {}: give a --token-file, or listen at 127.0.0.1", serving.host));
    }
    return serving;
}

void MonitorOptions::check() const {
    const std::vector<std::string> verbs = {"stats", "dump",  "events", "story",  "top",    "check",
                                            "serve", "drain", "pause",  "resume", "cancel", "dead-letters"};
    const std::string verb = words.empty() ? "" : words.front();
    const std::string all =
        fmt::format("say one of: {} SEQ..., {}", fmt::join(verbs.begin(), verbs.end() - 1, ", "), verbs.back());
    if (verb.empty()) throw std::invalid_argument(all);
    if (std::ranges::find(verbs, verb) == verbs.end())
        throw std::invalid_argument(fmt::format("unknown command '{}'{}; {}", verb, did_you_mean(verb, verbs), all));
    if (verb == "cancel" && words.size() == 1)
        throw std::invalid_argument("cancel: the number of a task is missing; " + all);
    if (verb == "cancel") check_numbers(words, 1, verb, "task");
    if (verb == "story" && (words.size() == 1 || words[1].empty()))
        throw std::invalid_argument("story: of which task? Say its number, or the id that its sender gave it");
    if (verb == "story" && words.size() > 2)
        throw std::invalid_argument(fmt::format("story: '{}' is one word too many; it tells of one task", words[2]));
    if (verb == "dead-letters") check_dead_letters();
    if (verb != "cancel" && verb != "dead-letters" && verb != "story" && words.size() > 1)
        throw std::invalid_argument(fmt::format("{}: '{}' is one word too many; {}", verb, words[1], all));
    if (as_json && as_text) throw std::invalid_argument("--json and --text: say one of them");
    if (!connect.empty()) check_endpoint(connect, false, Reach::anybody);
    if (!group_name.empty() && !is_label(group_name))
        throw std::invalid_argument(
            "--group-name: say a name of at most 255 bytes of UTF-8, without control characters");
    if (verb == "serve") (void)serve_options();
}

void MonitorOptions::check_dead_letters() const {
    const std::vector<std::string> verbs = {"ls", "show", "retry"};
    constexpr const char* kAll = "say dead-letters ls FILE, show FILE SEQ or retry FILE [SEQ...]";
    if (words.size() < 2)
        throw std::invalid_argument(fmt::format("dead-letters: what is to be done is missing; {}", kAll));
    const std::string& verb = words[1];
    if (std::ranges::find(verbs, verb) == verbs.end())
        throw std::invalid_argument(
            fmt::format("dead-letters: unknown command '{}'{}; {}", verb, did_you_mean(verb, verbs), kAll));
    if (words.size() < 3)
        throw std::invalid_argument(fmt::format("dead-letters {}: FILE is missing (- is stdin); {}", verb, kAll));
    if ((verb == "ls" && words.size() > 3) || (verb == "show" && words.size() > 4))
        throw std::invalid_argument(
            fmt::format("dead-letters {}: '{}' is one word too many; {}", verb, words.back(), kAll));
    if (verb == "show" && words.size() < 4)
        throw std::invalid_argument("dead-letters show: the number of a message is missing; ls says which there are");
    check_numbers(words, 3, "dead-letters " + verb, "message");
}

}  // namespace curfew
