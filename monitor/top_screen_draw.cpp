// How the screen is drawn, for any width and height. What it knows: top_screen.cpp.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <limits>

#include "monitor/laws.h"
#include "monitor/top_screen.h"

namespace curfew {
namespace {

using nlohmann::json;

constexpr int kOnceRows = 24;

// ---- the laws ----------------------------------------------------------------------------------

struct Term {
    const char* key;
    const char* word;
    const char* short_word;
};

constexpr std::array<Term, 5> kTaskTerms = {{{"completed", "completed", "done"},
                                             {"failed", "failed", "fail"},
                                             {"expired", "expired", "exp"},
                                             {"cancelled", "cancelled", "canc"},
                                             {"in_flight", "in flight", "in flight"}}};
constexpr std::array<Term, 7> kAttemptTerms = {{{"won", "won", "won"},
                                                {"late", "late", "late"},
                                                {"cancelled", "cancelled", "canc"},
                                                {"failed", "failed", "fail"},
                                                {"expired", "expired", "exp"},
                                                {"lost", "lost", "lost"},
                                                {"in_flight", "in flight", "in flight"}}};

/// How much is left out for want of room.
enum class Brevity : std::uint8_t { none, no_zeros, short_words, short_counts };

template <std::size_t n>
std::string law_text(const json& books, const char* all, const std::array<Term, n>& terms, Brevity brevity) {
    const auto number = [&](std::uint64_t value) {
        return brevity == Brevity::short_counts ? short_count(static_cast<double>(value)) : std::to_string(value);
    };
    const std::string what = brevity < Brevity::short_words ? fmt::format(" {}", all) : "";
    std::string out = number(count(books, all)) + what + " =";
    const char* sign = " ";
    for (const Term& term : terms) {
        const std::uint64_t value = count(books, term.key);
        const bool last = std::string_view(term.key) == "in_flight";
        if (value == 0 && !last && brevity != Brevity::none) continue;
        out +=
            fmt::format("{}{} {}", sign, number(value), brevity < Brevity::short_words ? term.word : term.short_word);
        sign = " + ";
    }
    return out;
}

template <std::size_t n>
Line law(const json& books, const char* name, const char* all, const std::array<Term, n>& terms, std::int64_t off,
         int width) {
    Line line = {{fitted(name, 10, false), Style::dim}};
    if (!books.is_object()) {
        line.push_back({"-"});
        return line;
    }
    if (off != 0) line.push_back({fmt::format("OFF BY {}  ", off), Style::bad});
    const int room = width - columns_of(line);
    std::string text;
    for (const Brevity brevity : {Brevity::none, Brevity::no_zeros, Brevity::short_words, Brevity::short_counts}) {
        text = law_text(books, all, terms, brevity);
        if (columns_of(text) <= room) break;
    }
    line.push_back({text});
    return line;
}

// ---- help --------------------------------------------------------------------------------------

constexpr std::array<std::pair<const char*, const char*>, 17> kHelp = {{
    {"q", "quit"},
    {"?", "this help; any key leaves it"},
    {"Tab", "to the other table: workers, attempts"},
    {"Up Down", "select a row; PgUp, PgDn, Home and End too"},
    {"s", "sort by the next column"},
    {"r", "reverse the order"},
    {"/", "show only rows with a text in them: type, Enter; Esc shows all"},
    {"c", "cancel the task of the selected attempt; it asks first"},
    {"Space", "pause, and go on"},
    {"+ -", "a longer, a shorter interval"},
    {"", ""},
    {"slots", "busy/all; with !: some are out of service"},
    {"won ...", "how attempts ended: won, late, cancelled, failed, expired, lost"},
    {"p99", "of start to end of its attempts; heard: how long ago it was heard"},
    {"gone", "neither the broker nor the worker says anything of it any more"},
    {"age", "since the attempt was handed over; left: until its deadline"},
    {"chart", "attempts in flight, a column a look; a gap: no answer"},
}};

Line help_line(const std::pair<const char*, const char*>& entry) {
    return {{"  "}, {fitted(entry.first, 10, false), Style::bold}, {entry.second}};
}

}  // namespace

// ---- what is drawn -----------------------------------------------------------------------------

void TopScreen::add_broker_words(Line& line) const {
    if (!looked_) return;
    if (!broker_answers_) {
        line.push_back(
            {fmt::format("BROKER GONE since {} ({})", gone_since_, short_time(seconds(now_ - gone_at_))), Style::bad});
        return;
    }
    line.push_back({fmt::format("{} {}  up {}  ", cut(word(broker_, "name"), 16), cut(word(broker_, "version"), 12),
                                short_time(real(broker_, "uptime_s")))});
    line.push_back(verdict("books", field(broker_, "balanced"), "balanced", "NOT BALANCED"));
    line.push_back({"  "});
    line.push_back(verdict("collector", field(field(broker_, "collector"), "synced"), "synced", "MISSING"));
    if (is_true(broker_, "stopping"))
        line.push_back({"  stopping", Style::warn});
    else if (is_true(broker_, "draining"))
        line.push_back({"  draining", Style::warn});
}

Line TopScreen::header(int width) const {
    Line line = {{"curfew  ", Style::bold}};
    add_broker_words(line);
    Line right;
    if (asking_ || !looked_) right.push_back({" asking...", Style::warn});
    if (paused_) right.push_back({" PAUSED", Style::warn});
    if (columns_of(line) + columns_of(right) + 10 <= width) right.push_back({"  " + time_, Style::dim});
    append_right(line, right, width);
    return line;
}

Line TopScreen::rates_line() const {
    return {{"per s     ", Style::dim},
            {rate(rates_[0]), Style::bold},
            {" accepted  "},
            {rate(rates_[1]), Style::bold},
            {" settled  "},
            {rate(rates_[2]), Style::bold},
            {" attempts"},
            {"  oldest task " + short_time(real(broker_, "oldest_task_s"))},
            {"  attempt " + short_time(real(broker_, "oldest_attempt_s"))}};
}

Line TopScreen::times_line() const {
    const json& took = field(broker_, "attempt_time");
    const json& hedges = field(broker_, "hedges");
    return {
        {"time      ", Style::dim},
        {fmt::format("p50 {}  p99 {}", us(took, "p50_us"), us(took, "p99_us"))},
        {"  cancel p99 " + us(field(broker_, "cancel_time"), "p99_us")},
        {fmt::format("  hedges {} sent {} won", short_count(real(hedges, "sent")), short_count(real(hedges, "won")))},
        {fmt::format(" {} withheld", short_count(real(hedges, "withheld")))}};
}

/// Where there is room.
Line TopScreen::more_line() const {
    const auto number = [&](const char* key) { return short_count(real(broker_, key)); };
    const auto warn_if_any = [&](const char* key) { return count(broker_, key) > 0 ? Style::warn : Style::plain; };
    return {{"window    ", Style::dim},
            {fmt::format("{} of {}", short_count(real(field(broker_, "tasks"), "in_flight")), number("window"))},
            {fmt::format("  cpu broker {} collector {}", cpu_of("broker"), cpu_of("collector"))},
            {"  workers " + number("workers_died") + " died", warn_if_any("workers_died")},
            {" " + number("workers_silent") + " silent", warn_if_any("workers_silent")},
            {" " + number("workers_left") + " left"},
            {"  frames " + number("refused_frames") + " refused"},
            {" " + number("malformed_frames") + " malformed", warn_if_any("malformed_frames")}};
}

std::vector<Line> TopScreen::figures(int width, bool more) const {
    std::vector<Line> lines = {
        law(field(broker_, "tasks"), "tasks", "accepted", kTaskTerms, tasks_residue(broker_), width),
        law(field(broker_, "attempts"), "attempts", "started", kAttemptTerms, attempts_residue(broker_), width),
        without_rest(rates_line(), width), without_rest(times_line(), width)};
    if (more) lines.push_back(without_rest(more_line(), width));
    if (broker_answers_) return lines;
    // What was last said is old.
    for (Line& line : lines) {
        for (Span& span : line) span.style = span.style == Style::bad ? Style::bad : Style::dim;
    }
    return lines;
}

std::vector<Line> TopScreen::chart(int width, int height) const {
    constexpr std::array kBlocks = {" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
    constexpr std::array kAscii = {" ", ".", ".", ":", ":", "+", "+", "#", "#"};
    const auto room = static_cast<std::size_t>(std::max(0, width - 10));
    const std::size_t first = in_flight_.size() - std::min(room, in_flight_.size());
    double most = 1;
    for (std::size_t i = first; i < in_flight_.size(); ++i) most = std::max(most, in_flight_[i].value_or(0));
    std::vector<Line> lines;
    for (int row = 0; row < height; ++row) {
        const int below = (height - 1 - row) * 8;
        const std::string label = row == 0            ? short_count(most)
                                  : row == height - 1 ? "0"
                                  : row == height / 2 ? "in flight"
                                                      : "";
        std::string bars(room - (in_flight_.size() - first), ' ');
        for (std::size_t i = first; i < in_flight_.size(); ++i) {
            const double value = in_flight_[i].value_or(0);
            const int eighths = value > 0 ? std::max(1, static_cast<int>(std::lround(value / most * height * 8))) : 0;
            const auto level = static_cast<std::size_t>(std::clamp(eighths - below, 0, 8));
            bars += utf8_ ? kBlocks[level] : kAscii[level];
        }
        lines.push_back({{fitted(label, 9, true) + " ", Style::dim}, {bars, Style::good}});
    }
    return lines;
}

void TopScreen::add_order(Line& line, const Table& table, bool live) const {
    if (!table.filter().empty()) {
        line.push_back({fmt::format("  {} with '{}'", table.matching(), clean(table.filter(), utf8_)), Style::warn});
    }
    if (live) line.push_back({"  " + table.order(), Style::dim});
}

Line TopScreen::workers_title(bool live) const {
    const auto gone = std::ranges::count_if(known_, [](const auto& item) { return item.second.gone_at.has_value(); });
    Line line = {{"WORKERS", live && on_workers_ ? Style::selected : Style::bold},
                 {fmt::format(" {}", known_.size() - static_cast<std::size_t>(gone))}};
    if (gone > 0) line.push_back({fmt::format("  {} gone", gone), Style::bad});
    add_order(line, workers_, live);
    return line;
}

Line TopScreen::attempts_title(bool live) const {
    Line line = {{"ATTEMPTS", live && !on_workers_ ? Style::selected : Style::bold}};
    line.push_back({" " + short_count(dumped_)});
    add_order(line, attempts_, live);
    if (static_cast<double>(attempts_.size()) < dumped_.value_or(0))
        line.push_back({fmt::format("  the oldest {}", attempts_.size())});
    for (const auto& [state, all] : places_)
        line.push_back({fmt::format("  {} {}", short_count(static_cast<double>(all)), cut(state, 12))});
    return line;
}

std::vector<Line> TopScreen::tables(int width, int workers, int attempts, bool live) {
    std::vector<Line> lines = {without_rest(workers_title(live), width)};
    for (Line& line : workers_.draw(width, workers, live && on_workers_)) lines.push_back(std::move(line));
    lines.resize(static_cast<std::size_t>(workers) + 2);
    lines.push_back(without_rest(attempts_title(live), width));
    for (Line& line : attempts_.draw(width, attempts, live && !on_workers_)) lines.push_back(std::move(line));
    return lines;
}

Line TopScreen::footer() const {
    if (confirming_) return {{fmt::format("cancel task {}? y/n", *confirming_), Style::warn}};
    if (typing_) {
        const std::string typed = on_workers_ ? workers_.filter() : attempts_.filter();
        return {{fmt::format("filter: {}_   (Enter keeps it, Esc clears it)", clean(typed, utf8_)), Style::warn}};
    }
    if (!note_.empty()) return {{note_, Style::warn}};
    return {{"q quit  ? help  Tab table  s sort  r reverse  / filter  c cancel  Space pause", Style::dim},
            {fmt::format("  +- {:g}s", seconds(every_)), Style::dim}};
}

std::vector<Line> TopScreen::draw(int width, int height) {
    if (width < 1 || height < 1) return {};
    std::vector<Line> lines = {header(width)};
    if (help_) {
        for (const auto& entry : kHelp) lines.push_back(help_line(entry));
    } else {
        for (Line& line : figures(width, height >= 28)) lines.push_back(std::move(line));
        const int chart_rows = height < 18 ? 0 : height < 30 ? 3 : height < 45 ? 5 : 8;
        for (Line& line : chart(width, chart_rows)) lines.push_back(std::move(line));
        const int room = std::max(0, height - 1 - static_cast<int>(lines.size()) - 4);
        const int all_workers = std::max(1, static_cast<int>(workers_.matching()));
        const int all_attempts = static_cast<int>(attempts_.matching());
        const int workers = std::min({room, all_workers, std::max(room / 2, room - all_attempts)});
        for (Line& line : tables(width, workers, room - workers, true)) lines.push_back(std::move(line));
    }
    lines.resize(static_cast<std::size_t>(height) - 1);
    lines.push_back(without_rest(footer(), width));
    for (Line& line : lines) cut(line, width);
    return lines;
}

std::vector<Line> TopScreen::draw_once(int width) {
    std::vector<Line> lines = {header(width)};
    for (Line& line : figures(width, true)) lines.push_back(std::move(line));
    const int workers = std::min(kOnceRows, static_cast<int>(workers_.matching()));
    for (Line& line : tables(width, workers, kOnceRows, false)) lines.push_back(std::move(line));
    for (Line& line : lines) cut(line, width);
    return lines;
}

}  // namespace curfew
