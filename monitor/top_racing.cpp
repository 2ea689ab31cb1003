#include "monitor/top_racing.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <iterator>
#include <nlohmann/json.hpp>
#include <numeric>
#include <utility>

#include "monitor/fields.h"
#include "monitor/racing_text.h"

namespace curfew {
namespace {

using nlohmann::json;

constexpr int kLabel = 10, kReason = 40;  // columns; of a reason, before there is an example

std::string name_of(const json& object, const char* key) {
    return field(object, key).is_string() ? object[key].get<std::string>() : "";
}

double certain(const json& failure) {
    return std::max(0.0, real(failure, "count").value_or(0) - real(failure, "at_most_too_many").value_or(0));
}

Span label(const char* text) {
    return {fitted(text, kLabel, false), Style::dim};
}

/// How many there is no room for; nothing: none.
std::string words_of_rest(std::size_t all, std::size_t shown) {
    return all > shown ? fmt::format("  +{} more", all - shown) : "";
}

/// The end, where names differ mostly.
std::string end_of(const std::string& name, int width) {
    if (columns_of(name) <= width) return fitted(name, width, false);
    std::string end = name;
    while (columns_of(end) > width - 2) end.erase(0, cut(end, 2).size());
    return fitted(".." + end, width, false);
}

}  // namespace

void TopRacing::add(const json& broker, Instant now) {
    Figures figures{.incarnation = count(broker, "incarnation"), .won = {}, .failed = {}};
    for (const json& pool : field(broker, "pools")) figures.won[name_of(pool, "name")] = real(pool, "won").value_or(0);
    for (const json& failure : field(broker, "failures")) figures.failed[name_of(failure, "reason")] = certain(failure);
    if (!lately_.empty() && lately_.now().incarnation != figures.incarnation) lately_.begin();
    lately_.add(std::move(figures), seconds(now.time_since_epoch()));
}

/// What there was not at all is new.
double TopRacing::grown(Counts Figures::*which, const std::string& name) const {
    if (!lately_.known()) return 0;
    const auto of = [&](const Figures& figures) {
        const auto at = (figures.*which).find(name);
        return at == (figures.*which).end() ? 0.0 : at->second;
    };
    return std::max(0.0, of(lately_.now()) - of(lately_.then()));
}

std::string TopRacing::per_s(double grown) const {
    return (lately_.known() ? rate(grown / lately_.seconds()) : "-") + "/s";
}

// ---- times -------------------------------------------------------------------------------------

Line TopRacing::times(const json& broker, int width) {
    const json& tasks = field(broker, "task_time");
    const json& attempts = field(broker, "attempt_time");
    const json& hedges = field(broker, "hedges");
    const auto number = [&](const char* key) { return short_count(real(hedges, key)); };
    Line line = {
        label("latency"),
        {fmt::format("p50 {}  p99 {}  p99.9 {}", us(tasks, "p50_us"), us(tasks, "p99_us"), us(tasks, "p999_us")),
         Style::bold}};
    if (count(hedges, "sent") + count(hedges, "withheld") > 0) {
        line.push_back({fmt::format("  hedges {} sent {} won", number("sent"), number("won"))});
        line.push_back({fmt::format(" {} withheld", number("withheld"))});
        if (const double saved = real(hedges, "saved_us").value_or(0); saved > 0)
            line.push_back({fmt::format(" saved {}", short_time(saved / 1e6))});
    }
    line.push_back({fmt::format("  attempt p50 {} p99 {}", us(attempts, "p50_us"), us(attempts, "p99_us"))});
    line.push_back({"  cancel p99 " + us(field(broker, "cancel_time"), "p99_us")});
    return without_rest(std::move(line), width);
}

// ---- who wins ----------------------------------------------------------------------------------

/// Of what was won lately; of all, where that is nothing.
std::vector<double> TopRacing::shares(const std::vector<const json*>& pools) const {
    std::vector<double> lately, ever;
    for (const json* pool : pools) {
        lately.push_back(grown(&Figures::won, name_of(*pool, "name")));
        ever.push_back(real(*pool, "won").value_or(0));
    }
    std::vector<double>& won = std::ranges::all_of(lately, [](double n) { return n == 0; }) ? ever : lately;
    const double all = std::accumulate(won.begin(), won.end(), 0.0);
    for (double& share : won) share = all == 0 ? 0 : share / all;
    return std::move(won);
}

/// Eighths of a column, where the terminal has them.
std::string TopRacing::bar(double share, int width) const {
    constexpr std::array kEighths = {"", "▏", "▎", "▍", "▌", "▋", "▊", "▉"};
    const int eighths = static_cast<int>(std::lround(share * width * 8));
    std::string out;
    for (int i = 0; i < (utf8_ ? eighths / 8 : (eighths + 4) / 8); ++i) out += utf8_ ? "█" : "#";
    if (utf8_) out += kEighths[static_cast<std::size_t>(eighths % 8)];
    return fitted(out, width, false);
}

/// All in one line, as far as there is room: names first, then bars.
Line TopRacing::wins_line(const std::vector<const json*>& pools, const std::vector<double>& share, int width) const {
    constexpr int kPercent = 7, kName = 5, kRest = 10;  // columns; kName: the least
    const auto most = [&](int room) { return static_cast<std::size_t>(std::max(1, room / (kPercent + kName))); };
    const bool all_fit = pools.size() <= most(width - kLabel);
    const std::size_t shown = all_fit ? pools.size() : std::min(pools.size(), most(width - kLabel - kRest));
    const std::string rest = words_of_rest(pools.size(), shown);
    const int room = (width - kLabel - columns_of(rest)) / static_cast<int>(shown) - kPercent;
    int names = 1;
    for (std::size_t i = 0; i < shown; ++i) names = std::max(names, columns_of(word(*pools[i], "name", utf8_)));
    names = std::clamp(names, 1, std::max(2, room));
    const int bar_width = std::min(12, room - names - 1);
    Line line = {label("wins")};
    for (std::size_t i = 0; i < shown; ++i) {
        line.push_back({end_of(word(*pools[i], "name", utf8_), names)});
        if (bar_width >= 3) line.push_back({" " + bar(share[i], bar_width), Style::good});
        line.push_back({fmt::format(" {:3.0f}%  ", share[i] * 100), Style::bold});
    }
    line.push_back({rest, Style::dim});
    return line;
}

std::vector<Line> TopRacing::wins(const json& broker, int width, int rows) const {
    const auto pools = pools_by_wins(broker);
    if (pools.size() < 2) return {};
    const auto share = shares(pools);
    if (rows == 1) return {wins_line(pools, share, width)};
    const std::size_t shown = std::min(pools.size(), static_cast<std::size_t>(rows));
    int names = 4;
    for (std::size_t i = 0; i < shown; ++i) names = std::max(names, columns_of(word(*pools[i], "name", utf8_)));
    names = std::min(names, std::max(8, width / 4));
    const int bar_width = std::clamp(width - kLabel - names - 39, 4, 40);
    std::vector<Line> lines;
    for (std::size_t i = 0; i < shown; ++i) {
        const json& pool = *pools[i];
        lines.push_back({label(i == 0 ? "wins" : ""),
                         {end_of(word(pool, "name", utf8_), names) + "  "},
                         {bar(share[i], bar_width), Style::good},
                         {fmt::format(" {:3.0f}%", share[i] * 100), Style::bold},
                         {fmt::format(" {:>8}", per_s(grown(&Figures::won, name_of(pool, "name"))))},
                         {fmt::format("  p99 {:<5}", us(field(pool, "won_time"), "p99_us"))},
                         {fmt::format("  {:>5} won", short_count(real(pool, "won")))}});
    }
    lines.back().push_back({words_of_rest(pools.size(), shown), Style::dim});
    return lines;
}

// ---- why work fails ----------------------------------------------------------------------------

/// Amber where it fails now. The example stands there where there is room for it.
Line TopRacing::failure_line(const json& failure, const std::string& rest, int width) const {
    const double lately = grown(&Figures::failed, name_of(failure, "reason"));
    const std::string head = fmt::format("{:>5} {:>7}  ", short_count(real(failure, "count")), per_s(lately));
    const std::string reason = reason_of(failure, utf8_);
    const std::string example = "  " + example_of(failure, utf8_);
    const int all = width - kLabel - columns_of(head) - columns_of(rest);
    const int room = all - columns_of(example) >= kReason ? all - columns_of(example) : std::max(16, all);
    Line line = {
        {head},
        {columns_of(reason) <= room ? reason : cut(reason, room - 2) + "..", lately > 0 ? Style::warn : Style::plain}};
    if (columns_of(line.back().text) + columns_of(example) <= all) line.push_back({example, Style::dim});
    line.push_back({rest, Style::dim});
    return line;
}

/// What fails now is first.
std::vector<Line> TopRacing::failures(const json& broker, int width, int rows) const {
    std::vector<const json*> found;
    for (const json& failure : field(broker, "failures")) {
        if (count(failure, "count") > 0) found.push_back(&failure);
    }
    std::stable_partition(found.begin(), found.end(), [&](const json* failure) {
        return grown(&Figures::failed, name_of(*failure, "reason")) > 0;
    });
    const std::size_t shown = std::min(found.size(), static_cast<std::size_t>(rows));
    std::vector<Line> lines;
    for (std::size_t i = 0; i < shown; ++i) {
        const std::string rest = i + 1 == shown ? words_of_rest(found.size(), shown) : "";
        lines.push_back({label(i == 0 ? "failures" : "")});
        std::ranges::move(failure_line(*found[i], rest, width), std::back_inserter(lines.back()));
    }
    return lines;
}

std::vector<Line> TopRacing::draw(const json& broker, int width, int rows, bool beside) const {
    const int left = beside ? width / 2 : width;
    std::vector<Line> lines = wins(broker, left, rows);
    if (!beside || lines.empty()) {
        std::ranges::move(failures(broker, width, rows), std::back_inserter(lines));
        return lines;
    }
    std::vector<Line> right = failures(broker, width - left - 1, rows);
    lines.resize(std::max(lines.size(), right.size()));
    for (std::size_t row = 0; row < right.size(); ++row) {
        cut(lines[row], left);
        append_right(lines[row], {}, left + 1);
        std::ranges::move(right[row], std::back_inserter(lines[row]));
    }
    return lines;
}

}  // namespace curfew
