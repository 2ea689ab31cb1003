#include "monitor/racing_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <iterator>
#include <utility>

#include "monitor/fields.h"
#include "monitor/terminal_text.h"

namespace curfew {
namespace {

using nlohmann::json;

constexpr int kLabel = 10;  // columns, as in the lines of the books
constexpr std::size_t kMostPools = 10, kMostReasons = 5;

std::string labelled(const char* label, const std::string& words) {
    return fmt::format("{:<{}}{}", label, kLabel, words);
}

std::string cut_short(const std::string& words, int room) {
    return columns_of(words) <= room ? words : cut(words, std::max(0, room - 2)) + "..";
}

std::string padded(const std::string& words, int room) {
    return fitted(cut_short(words, room), room, false);
}

std::uint64_t ended(const json& pool) {
    std::uint64_t all = 0;
    for (const char* end : {"won", "late", "cancelled", "failed", "expired", "lost"}) all += count(pool, end);
    return all;
}

std::vector<std::string> latency_text(const json& took) {
    if (count(took, "count") == 0) return {};
    const auto of = [&](const char* key) { return three_digits(real(took, key).value_or(0)); };
    return {labelled("latency", fmt::format("p50 {}, p99 {}, p99.9 {}", of("p50_us"), of("p99_us"), of("p999_us")))};
}

std::vector<std::string> hedges_text(const json& hedges) {
    const std::uint64_t sent = count(hedges, "sent"), withheld = count(hedges, "withheld");
    if (sent == 0 && withheld == 0) return {};
    std::string words = fmt::format("{} sent, {} won", sent, count(hedges, "won"));
    if (const double saved = real(hedges, "saved_us").value_or(0); saved > 0)
        words += fmt::format(", {} saved at least", three_digits(saved));
    if (withheld > 0) words += fmt::format("; {} more were due, and there was no budget", withheld);
    return {labelled("hedges", words)};
}

/// Who won, where there are several to choose from.
std::vector<std::string> wins_text(const json& broker, int width) {
    const auto pools = pools_by_wins(broker);
    if (pools.size() < 2) return {};
    const auto shown = std::min(pools.size(), kMostPools);
    std::uint64_t all = 0;
    int longest = 0;
    for (const json* pool : pools) all += count(*pool, "won");
    for (std::size_t i = 0; i < shown; ++i) longest = std::max(longest, columns_of(word(*pools[i], "name", true)));
    const int bar = std::clamp((width - 40) / 2, 8, 30);
    const int names = std::min(longest, std::max(8, width - kLabel - bar - 29));
    std::vector<std::string> lines;
    for (std::size_t i = 0; i < shown; ++i) {
        const std::uint64_t won = count(*pools[i], "won");
        const double share = all == 0 ? 0 : static_cast<double>(won) / static_cast<double>(all);
        const double p99 = real(field(*pools[i], "won_time"), "p99_us").value_or(0);
        lines.push_back(
            labelled(i == 0 ? "wins" : "",
                     fmt::format("{}  {:<{}} {:3.0f}% {:>7}{}", padded(word(*pools[i], "name", true), names),
                                 std::string(static_cast<std::size_t>(std::lround(share * bar)), '#'), bar, share * 100,
                                 won, won > 0 && p99 > 0 ? "  p99 " + three_digits(p99) : "")));
    }
    if (pools.size() > shown)
        lines.push_back(labelled("", fmt::format("and {} more", many(pools.size() - shown, "pool"))));
    return lines;
}

/// Why attempts failed, the most frequent first.
std::vector<std::string> failures_text(const json& failures, int width) {
    std::vector<std::string> lines;
    if (!failures.is_array()) return lines;
    const auto shown = std::min(failures.size(), kMostReasons);
    for (std::size_t i = 0; i < shown; ++i) {
        const std::string head = fmt::format("{}{} ", count(failures[i], "at_most_too_many") > 0 ? "about " : "",
                                             count(failures[i], "count"));
        const std::string example = fmt::format(" ({})", example_of(failures[i], true));
        const int room = std::max(16, width - kLabel - columns_of(head) - columns_of(example));
        lines.push_back(labelled(i == 0 ? "failures" : "",
                                 fmt::format("{}{}{}", head, cut_short(reason_of(failures[i], true), room), example)));
    }
    if (failures.size() > shown)
        lines.push_back(labelled("", fmt::format("and {} more", many(failures.size() - shown, "reason"))));
    return lines;
}

}  // namespace

std::vector<const json*> pools_by_wins(const json& broker) {
    std::vector<const json*> pools;
    for (const json& pool : field(broker, "pools")) {
        if (ended(pool) > 0) pools.push_back(&pool);
    }
    std::ranges::stable_sort(pools, std::greater<>(), [](const json* pool) { return count(*pool, "won"); });
    return pools;
}

std::string reason_of(const json& failure, bool utf8) {
    std::string reason = word(failure, "reason", utf8);
    const std::string error = field(failure, "error").is_null() ? "" : word(failure, "error", utf8);
    if (count(failure, "count") > 1 || error.empty()) return reason;
    return reason.substr(0, reason.find(':')) + ": " + error;
}

std::string example_of(const json& failure, bool utf8) {
    const std::string worker = word(failure, "worker", utf8);
    return fmt::format("message {}{}", count(failure, "seq"), worker.empty() || worker == "-" ? "" : " at " + worker);
}

std::string three_digits(double us) {
    constexpr std::array<std::pair<const char*, double>, 3> kUnits = {{{"us", 1}, {"ms", 1e3}, {"s", 1e6}}};
    for (const auto& [unit, factor] : kUnits) {
        const double value = us / factor;
        if (value < 999.5 && (factor < 1e6 || value < 99.95))
            return fmt::format("{:.{}f} {}", value, value < 9.995 ? 2 : value < 99.95 ? 1 : 0, unit);
    }
    const auto seconds = static_cast<std::int64_t>(std::lround(std::min(us, 1e18) / 1e6));
    if (seconds < 3600) return fmt::format("{} min {} s", seconds / 60, seconds % 60);
    return fmt::format("{} h {} min", seconds / 3600, seconds / 60 % 60);
}

std::vector<std::string> racing_text(const json& broker, int width) {
    std::vector<std::string> lines;
    for (auto& part : {latency_text(field(broker, "task_time")), hedges_text(field(broker, "hedges")),
                       wins_text(broker, width), failures_text(field(broker, "failures"), width)}) {
        for (const std::string& line : part) lines.push_back(cut(line, width));
    }
    return lines;
}

}  // namespace curfew
