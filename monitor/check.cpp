#include "monitor/check.h"

#include <fmt/format.h>

#include <algorithm>

#include "common/process/options.h"
#include "monitor/laws.h"
#include "monitor/readiness.h"
#include "monitor/terminal_text.h"

namespace curfew {
namespace {

using nlohmann::json;

/// What is wrong, the worst first.
class Complaints {
public:
    void add(bool wrong, Health health, std::string what) {
        if (!wrong) return;
        if (health > worst_)
            words_.insert(words_.begin(), std::move(what));
        else
            words_.push_back(std::move(what));
        worst_ = std::max(worst_, health);
    }
    [[nodiscard]] Health worst() const { return worst_; }
    [[nodiscard]] std::string words() const { return fmt::format("{}", fmt::join(words_, "; ")); }

private:
    Health worst_ = Health::ok;
    std::vector<std::string> words_;
};

const char* word(Health health) {
    constexpr const char* kWords[] = {"OK", "WARNING", "CRITICAL", "UNKNOWN"};
    return kWords[static_cast<std::size_t>(health)];
}

/// How long work that was called home may take to stop, with the time of a kill: of the most
/// patient worker.
double longest_stop(const std::vector<Said>& stats) {
    constexpr double kGrace = 1, kKill = 2;  // seconds; the first is what workers have unless told
    std::optional<double> longest;
    for (const auto& [name, said] : stats) longest = std::max(longest, real(said, "grace_s"));
    return longest.value_or(kGrace) + kKill;
}

void check_others(const std::vector<Said>& stats, const Limits& limits, Complaints& complaints) {
    for (const auto& [name, said] : stats) {
        complaints.add(said.is_null(), Health::warning, name + " does not answer");
        const std::uint64_t out = count(field(said, "slots"), "out_of_service");
        complaints.add(out > 0, Health::warning, fmt::format("{}: {} slots out of service", name, out));
        if (!limits.drained) continue;
        std::uint64_t held = count(said, "decided");
        for (const char* state : {"queued", "running", "cancelling", "reported"})
            held += count(field(said, "held"), state);
        complaints.add(held > 0, Health::critical, fmt::format("{} still holds {}", name, held));
        const std::uint64_t busy = count(field(said, "slots"), "busy");
        complaints.add(busy > 0, Health::critical, fmt::format("{}: {} slots are busy", name, busy));
    }
}

}  // namespace

namespace {

double seconds(Duration duration) {
    return std::chrono::duration<double>(duration).count();
}

/// Of the limits that somebody has set.
void check_limits(std::uint64_t tasks, std::uint64_t attempts, double oldest, const Limits& limits,
                  Complaints& complaints) {
    if (limits.most_in_flight)
        complaints.add(attempts > *limits.most_in_flight, Health::critical,
                       fmt::format("{} attempts in flight, more than {}", attempts, *limits.most_in_flight));
    if (limits.oldest)
        complaints.add(
            oldest > seconds(*limits.oldest), Health::critical,
            fmt::format("the oldest attempt is {:.1f} s old, more than {}", oldest, text_of(*limits.oldest)));
    if (limits.drained)
        complaints.add(tasks + attempts > 0, Health::critical,
                       fmt::format("not drained: {} tasks and {} attempts in flight", tasks, attempts));
}

void check_failures(const json& broker, const Limits& limits, Complaints& complaints) {
    if (!limits.most_failed) return;
    const EndsBetween ends = ends_between(limits.earlier, broker);
    const double most = *limits.most_failed * static_cast<double>(ends.all);
    complaints.add(static_cast<double>(ends.failed) > most, Health::warning,
                   fmt::format("{} of {} that ended failed, more than {:g}%", ends.failed, many(ends.all, "attempt"),
                               *limits.most_failed * 100));
}

/// What a plugin for Nagios says behind the bar.
std::string figures(const json& broker, double oldest, const Limits& limits) {
    const json& tasks = field(broker, "tasks");
    const json& attempts = field(broker, "attempts");
    const std::string bound = limits.drained          ? "0"
                              : limits.most_in_flight ? std::to_string(*limits.most_in_flight)
                                                      : "";
    const std::string age = limits.oldest ? fmt::format("{:g}", seconds(*limits.oldest)) : "";
    return fmt::format(
        "tasks_in_flight={};;;0 attempts_in_flight={};;{};0 oldest_attempt={:.3f}s;;{};0 "
        "tasks_residue={};;0:0 attempts_residue={};;0:0 accepted={}c started={}c lost={}c",
        count(tasks, "in_flight"), count(attempts, "in_flight"), bound, oldest, age, tasks_residue(broker),
        attempts_residue(broker), count(tasks, "accepted"), count(attempts, "started"), count(attempts, "lost"));
}

}  // namespace

Finding check(const std::vector<Said>& stats, const Limits& limits) {
    const json& broker = broker_of(stats);
    if (broker.is_null()) return {Health::critical, "CURFEW CRITICAL - the broker does not answer"};
    const std::int64_t tasks_off = tasks_residue(broker), attempts_off = attempts_residue(broker);
    const std::uint64_t tasks = count(field(broker, "tasks"), "in_flight");
    const std::uint64_t in_flight = count(field(broker, "attempts"), "in_flight");
    const double oldest = real(broker, "oldest_attempt_s").value_or(0);

    Complaints complaints;
    complaints.add(tasks_off != 0, Health::critical, fmt::format("the books of the tasks are {} off", tasks_off));
    complaints.add(attempts_off != 0, Health::critical,
                   fmt::format("the books of the attempts are {} off", attempts_off));
    check_limits(tasks, in_flight, oldest, limits, complaints);
    check_failures(broker, limits, complaints);
    complaints.add(!is_true(field(broker, "collector"), "synced"), Health::warning, "there is no collector");
    const double settled = real(broker, "settled_for_s").value_or(0);
    complaints.add(in_flight > 0 && settled > longest_stop(stats), Health::warning,
                   words_of_waiting(in_flight, settled));
    for (const std::string& trouble : troubles_of_ends(stats)) complaints.add(true, Health::warning, trouble);
    check_others(stats, limits, complaints);

    const std::string said =
        complaints.worst() == Health::ok
            ? fmt::format("{} tasks and {} attempts in flight, the books balance", tasks, in_flight)
            : complaints.words();
    return {complaints.worst(),
            fmt::format("CURFEW {} - {} | {}", word(complaints.worst()), said, figures(broker, oldest, limits))};
}

EndsBetween ends_between(const json& earlier, const json& later) {
    if (count(earlier, "incarnation") != count(later, "incarnation")) return {};
    const auto more = [&](const char* end) {
        const std::uint64_t now = count(field(later, "attempts"), end), then = count(field(earlier, "attempts"), end);
        return now - std::min(now, then);
    };
    const std::uint64_t failed = more("failed") + more("expired") + more("lost");
    return {more("won") + more("late") + failed, failed};
}

std::string words_of_waiting(std::uint64_t attempts, double seconds) {
    return fmt::format("waiting for {} attempt{} in flight, for {:.0f} s: all outcomes are written", attempts,
                       attempts == 1 ? "" : "s", seconds);
}

bool only_rises(const std::vector<std::uint64_t>& samples) {
    constexpr std::size_t kParts = 5;
    if (samples.size() < 2 * kParts) return false;
    std::optional<std::uint64_t> before;
    for (std::size_t i = 0; i < kParts; ++i) {
        const auto begin = samples.begin() + static_cast<std::ptrdiff_t>(samples.size() * i / kParts);
        const auto end = samples.begin() + static_cast<std::ptrdiff_t>(samples.size() * (i + 1) / kParts);
        const std::uint64_t least = *std::min_element(begin, end);
        if (before && least <= *before) return false;
        before = least;
    }
    return true;
}

Finding with_growth(const Finding& finding, const std::vector<std::uint64_t>& samples, Duration window) {
    if (!only_rises(samples)) return finding;
    const std::string what = fmt::format("attempts in flight only rise: {} to {} in {}; see curfew-monitor dump",
                                         samples.front(), samples.back(), text_of(window));
    const std::size_t words = finding.line.find(" - ") + 3;
    const std::string rest = finding.line.substr(words);
    const std::size_t figures = rest.find(" | ");
    const std::string more = finding.health == Health::ok ? rest.substr(std::min(figures, rest.size())) : "; " + rest;
    return {Health::critical, "CURFEW CRITICAL - " + what + more};
}

}  // namespace curfew
