// The story of a task as text.
#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "monitor/fields.h"
#include "monitor/story.h"
#include "monitor/table.h"
#include "monitor/terminal_text.h"

namespace curfew {
namespace {

using nlohmann::json;

/// What an attempt was doing, and how it ended.
enum class Mark : std::uint8_t { none, waits, works, stops, unknown, won, beaten, failed, open };

const char* sign(Mark mark, bool utf8) {
    constexpr std::array kPlain = {" ", ".", "=", "~", "-", "*", "o", "x", ">"};
    constexpr std::array kUtf8 = {" ", "·", "━", "░", "─", "●", "○", "✕", "→"};
    return (utf8 ? kUtf8 : kPlain)[static_cast<std::size_t>(mark)];
}

/// When what happened to an attempt, in microseconds since 1970.
struct Times {
    explicit Times(const json& attempt)
        : sent(real(attempt, "sent_us")),
          called_home(real(attempt, "called_home_us")),
          heard(real(attempt, "ended_us")),
          began(real(field(attempt, "work"), "began_us")),
          stop(real(field(attempt, "work"), "stop_us")),
          work_ended(real(field(attempt, "work"), "ended_us")) {}
    /// As far as it is known: the end of its work, or when the broker heard of it.
    [[nodiscard]] std::optional<double> ended() const { return work_ended ? work_ended : heard; }
    std::optional<double> sent, called_home, heard, began, stop, work_ended;
};

Mark mark_of_end(const json& attempt) {
    const json& end = field(attempt, "end");
    if (end.is_null()) return Mark::open;
    if (end == "won") return Mark::won;
    return end == "late" || end == "cancelled" ? Mark::beaten : Mark::failed;
}

/// The time line: microseconds to columns.
class Scale {
public:
    Scale(double from, double to, int columns) : from_(from), to_(std::max(to, from + 1)), columns_(columns) {}
    [[nodiscard]] int column(double at) const {
        const double place = (at - from_) / (to_ - from_) * (columns_ - 1);
        return static_cast<int>(std::clamp(std::floor(place), 0.0, columns_ - 1.0));
    }
    [[nodiscard]] int columns() const { return columns_; }
    [[nodiscard]] double from() const { return from_; }
    [[nodiscard]] double to() const { return to_; }

private:
    double from_, to_;
    int columns_;
};

std::string bar(const json& attempt, const Scale& scale, bool utf8) {
    const Times times(attempt);
    std::vector<Mark> marks(static_cast<std::size_t>(scale.columns()), Mark::none);
    const auto paint = [&](std::optional<double> from, double to, Mark mark) {
        if (!from) return;
        for (int c = scale.column(*from); c <= scale.column(to); ++c) marks[static_cast<std::size_t>(c)] = mark;
    };
    const double end = times.ended().value_or(scale.to());
    paint(times.sent, end, times.began || times.ended() == times.sent ? Mark::waits : Mark::unknown);
    paint(times.began, end, Mark::works);
    paint(times.stop ? times.stop : times.called_home, end, Mark::stops);
    marks[static_cast<std::size_t>(scale.column(end))] = mark_of_end(attempt);
    std::string out;
    for (const Mark mark : marks) out += sign(mark, utf8);
    out.erase(out.find_last_not_of(' ') + 1);
    return out;
}

Scale scale_of(const json& story, int columns) {
    const json& task = field(story, "task");
    const double from = real(task, "accepted_us").value_or(0);
    double to = real(task, "settled_us").value_or(from);
    for (const json& attempt : field(task, "attempts")) {
        const Times times(attempt);
        to = std::max(to, times.ended().value_or(real(story, "now_us").value_or(to)));
    }
    if (field(task, "settled_us").is_null()) to = std::max(to, real(story, "now_us").value_or(to));
    return {from, to, columns};
}

std::string name_of_attempt(const json& attempt) {
    return fmt::format("{}{}", count(attempt, "attempt"), is_true(attempt, "hedge") ? " hedge" : "");
}

std::string end_of(const json& attempt) {
    if (is_true(attempt, "moved")) return "moved";
    return field(attempt, "end").is_null() ? "in flight" : word(attempt, "end", true);
}

// ---- the head ----------------------------------------------------------------------------------

std::string after(std::optional<double> at, double from) {
    return at ? short_time((*at - from) / 1e6) : "-";
}

std::string how_it_went(const json& task, double from, double now) {
    const auto decided = real(task, "decided_us"), settled = real(task, "settled_us");
    if (!decided && !settled) {
        const auto deadline = real(task, "deadline_us");
        return fmt::format("in flight for {}{}", after(now, from),
                           deadline ? fmt::format(", {} left", short_time((*deadline - now) / 1e6)) : "");
    }
    const json& attempts = field(task, "attempts");
    const auto won = std::ranges::find_if(attempts, [](const json& attempt) { return field(attempt, "end") == "won"; });
    std::string out = fmt::format("{} after {}", word(task, "outcome", true), after(decided ? decided : settled, from));
    if (won != attempts.end())
        out += fmt::format(", by {} at {}", is_true(*won, "hedge") ? "a hedge" : "its attempt " + name_of_attempt(*won),
                           word(*won, "worker", true));
    if (!field(task, "error").is_null()) out += ": " + word(task, "error", true);
    return out;
}

std::string head(const json& story, double from, int width, bool utf8) {
    const json& task = field(story, "task");
    const std::string seq = std::to_string(count(task, "seq"));
    const std::string id = word(task, "id", utf8);
    const std::string name = id.ends_with("-" + seq) ? seq : fmt::format("{} ({})", seq, id);
    const auto at = std::chrono::system_clock::time_point(std::chrono::microseconds(static_cast<std::int64_t>(from)));
    std::string out = fmt::format("task {}: {}", name, how_it_went(task, from, real(story, "now_us").value_or(from)));
    if (columns_of(out) > width) out = cut(out, width - 1) + "~";
    out += fmt::format("\naccepted {:%Y-%m-%d %H:%M:%S}", fmt::localtime(std::chrono::system_clock::to_time_t(at)));
    if (const auto settled = real(task, "settled_us"))
        out += fmt::format(", its outcome written after {}", after(settled, from));
    return out + "\n";
}

// ---- the tables --------------------------------------------------------------------------------

std::string bars(const json& story, int width, bool utf8) {
    const json& attempts = field(field(story, "task"), "attempts");
    int names = 7, workers = 6;
    for (const json& attempt : attempts) {
        names = std::max(names, columns_of(name_of_attempt(attempt)));
        workers = std::clamp(columns_of(word(attempt, "worker", utf8)), workers, 20);
    }
    const Scale scale = scale_of(story, std::max(10, width - names - workers - 4));
    const std::string last = short_time((scale.to() - scale.from()) / 1e6);
    std::string out =
        fmt::format("\n{:<{}}  {:<{}}  0{:>{}}\n", "attempt", names, "worker", workers, last, scale.columns() - 1);
    for (const json& attempt : attempts) {
        out += fitted(name_of_attempt(attempt), names, false) + "  " +
               fitted(word(attempt, "worker", utf8), workers, false) + "  " + bar(attempt, scale, utf8) + "\n";
    }
    return out;
}

std::string legend(int width, bool utf8) {
    constexpr std::array<std::pair<Mark, const char*>, 7> kSaid = {{{Mark::waits, "waits"},
                                                                    {Mark::works, "works"},
                                                                    {Mark::stops, "called home"},
                                                                    {Mark::won, "won"},
                                                                    {Mark::beaten, "beaten"},
                                                                    {Mark::failed, "failed"},
                                                                    {Mark::open, "in flight"}}};
    std::string out, line;
    for (const auto& [mark, what] : kSaid) {
        const std::string next = fmt::format("{} {}", sign(mark, utf8), what);
        if (!line.empty() && columns_of(line) + 3 + columns_of(next) > width) out += std::exchange(line, "") + "\n";
        line += (line.empty() ? "" : "   ") + next;
    }
    return out + line + "\n";
}

Table::Row row_of(const json& attempt, double from) {
    const Times times(attempt);
    const auto time = [&](std::optional<double> at) { return Table::Cell{after(at, from)}; };
    Table::Row row;
    row.cells = {
        {name_of_attempt(attempt)}, {word(attempt, "worker", true)}, {word(attempt, "pool", true)}, time(times.sent),
        time(times.began),          time(times.called_home),         time(times.work_ended),        time(times.heard),
        {end_of(attempt)}};
    return row;
}

std::string times(const json& story, double from, int width) {
    Table table({{.title = "attempt", .least = 7},
                 {.title = "worker", .least = 6, .elastic = true},
                 {.title = "pool", .least = 4, .elastic = true, .drop = 4},
                 {.title = "sent", .least = 6, .number = true},
                 {.title = "began", .least = 6, .number = true},
                 {.title = "called home", .least = 11, .number = true},
                 {.title = "ended", .least = 6, .number = true, .drop = 2},
                 {.title = "heard", .least = 6, .number = true},
                 {.title = "end", .least = 9}},
                0);
    std::vector<Table::Row> rows;
    double place = 0;
    for (const json& attempt : field(field(story, "task"), "attempts")) {
        rows.push_back(row_of(attempt, from));
        rows.back().cells.front().value = place++;
    }
    table.fill(std::move(rows));
    return "\n" + table.text(width);
}

/// Why attempts failed, each reason once.
std::string errors(const json& story, int width, bool utf8) {
    std::map<std::string, std::string> by_error;
    for (const json& attempt : field(field(story, "task"), "attempts")) {
        if (field(attempt, "error").is_null()) continue;
        std::string& who = by_error[word(attempt, "error", utf8)];
        who += (who.empty() ? "" : ", ") + std::to_string(count(attempt, "attempt"));
    }
    std::string out;
    for (const auto& [error, who] : by_error) {
        const std::string line = fmt::format("attempt {}: {}", who, error);
        out += (columns_of(line) > width ? cut(line, width - 1) + "~" : line) + "\n";
    }
    return out;
}

}  // namespace

std::string story_text(const json& story, int width, bool utf8) {
    const json& task = field(story, "task");
    const double from = real(task, "accepted_us").value_or(0);
    std::string out = head(story, from, width, utf8);
    if (field(task, "attempts").empty()) {
        out += "\nno attempt of it has begun\n";
    } else {
        out += bars(story, width, utf8) + legend(width, utf8) + times(story, from, width) + errors(story, width, utf8);
    }
    if (const auto left_out = count(task, "left_out"); left_out > 0)
        out += fmt::format("... and {}\n", many(left_out, "attempt"));
    for (const json& name : field(story, "unanswered"))
        out += fmt::format("{} does not answer: when it worked is not known\n", clean(name.get<std::string>(), utf8));
    return out;
}

}  // namespace curfew
