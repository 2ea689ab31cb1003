// How the screen is drawn, for any width and height.
#include "monitor/top_screen.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <iterator>
#include <utility>

#include "monitor/fields.h"
#include "monitor/group.h"
#include "monitor/laws.h"
#include "monitor/readiness.h"

namespace curfew {
namespace {

using nlohmann::json;

constexpr int kOnceRows = 24;
constexpr int kWide = 160;                           // columns, that have room for a second chart
constexpr int kRoomForEnds = 14, kRoomForMore = 28;  // of the screen's rows

/// Of who wins, and of why work fails.
int rows_of_racing(int height) {
    return height < kRoomForMore ? 1 : height < 45 ? 3 : 6;
}

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

constexpr std::array<std::pair<const char*, const char*>, 21> kHelp = {{
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
    {"latency", "of tasks, from acceptance to decision"},
    {"wins", "by pool, and failures: in the last ten seconds; amber: fails now"},
    {"", ""},
    {"slots", "busy/all; with !: some are out of service"},
    {"won ...", "how attempts ended: won, late, cancelled, failed, expired, lost"},
    {"p99", "of start to end of its attempts; heard: how long ago it was heard"},
    {"que run", "what the worker holds: queued, running, and told to stop"},
    {"gone", "neither the broker nor the worker says anything of it any more"},
    {"age", "since the attempt was handed over; left: until its deadline"},
    {"chart", "attempts in flight, a column a look; a gap: no answer"},
}};

Line help_line(const std::pair<const char*, const char*>& entry) {
    return {{"  "}, {fitted(entry.first, 10, false), Style::bold}, {entry.second}};
}

}  // namespace

void TopScreen::add(const Look& look, Instant now, std::string time) {
    looked_ = true;
    now_ = now;
    time_ = std::move(time);
    broker_.add(look, now_, time_);
    if (whole_ && ended_at_.empty() && !anybody_answers(look.stats)) show_last_figures();
    if (!ended_at_.empty()) {
        if (!broker_.answers()) return;  // what there is is no group yet
        begin_again();
    }
    if (broker_.answers()) {
        whole_ = Whole{look, now_};
        racing_.add(broker_.said(), now_);
    }
    cpu_.add(look, now_);
    sink_ = sink_of(look.stats);
    chart_.add(broker_.in_flight());
    settled_.add(broker_.answers() ? broker_.rates().settled() : std::nullopt);
    tables_.add(look, broker_, cpu_, now_);
}

/// The group has ended. Who of it has left first does not matter: what it was is what stays.
void TopScreen::show_last_figures() {
    ended_at_ = time_;
    sink_ = {};
    KnownBroker then;
    then.add(whole_->look, whole_->at, time_);
    tables_.add(whole_->look, then, cpu_, whole_->at);
    tables_.make_old();
}

/// A broker answers where the group had ended. If it is the same it had not: it stood still.
void TopScreen::begin_again() {
    ended_at_.clear();
    if (count(broker_.said(), "incarnation") == count(broker_of(whole_->look.stats), "incarnation")) return;
    chart_.begin();
    settled_.begin();
    tables_.begin();
}

// ---- what is drawn -----------------------------------------------------------------------------

void TopScreen::add_broker_words(Line& line) const {
    if (!looked_) return;
    if (!ended_at_.empty()) {
        line.push_back({fmt::format("the group ended at {}: these are its last figures", ended_at_), Style::warn});
        return;
    }
    if (!broker_.answers()) {
        const std::string ago = short_time(seconds(now_ - broker_.gone_at()));
        line.push_back({fmt::format("BROKER GONE since {} ({})", broker_.gone_since(), ago), Style::bad});
        return;
    }
    const json& broker = broker_.said();
    line.push_back({fmt::format("{} {}  up {}  ", cut(word(broker, "name", utf8_), 16),
                                cut(word(broker, "version", utf8_), 12), short_time(real(broker, "uptime_s")))});
    line.push_back(verdict("books", field(broker, "balanced"), "balanced", "NOT BALANCED"));
    line.push_back({"  "});
    line.push_back(verdict("collector", field(field(broker, "collector"), "synced"), "synced", "MISSING"));
    if (is_true(broker, "stopping"))
        line.push_back({"  stopping", Style::warn});
    else if (is_true(broker, "draining"))
        line.push_back({"  draining", Style::warn});
}

Line TopScreen::header(int width) const {
    Line line = {{fmt::format("{}  ", group_.empty() ? "curfew" : cut(clean(group_, utf8_), 32)), Style::bold}};
    add_broker_words(line);
    Line right;
    if (asking_ || !looked_) right.push_back({" asking...", Style::warn});
    if (paused()) right.push_back({" PAUSED", Style::warn});
    if (columns_of(line) + columns_of(right) + 10 <= width) right.push_back({"  " + time_, Style::dim});
    append_right(line, right, width);
    return line;
}

Line TopScreen::rates_line() const {
    return {{"per s     ", Style::dim},
            {rate(broker_.rates().accepted()), Style::bold},
            {" accepted  "},
            {rate(broker_.rates().settled()), Style::bold},
            {" settled  "},
            {rate(broker_.rates().started()), Style::bold},
            {" attempts"},
            {"  oldest task " + short_time(real(broker_.said(), "oldest_task_s"))},
            {"  attempt " + short_time(real(broker_.said(), "oldest_attempt_s"))}};
}

/// Where there is room.
Line TopScreen::more_line() const {
    const json& broker = broker_.said();
    const auto number = [&](const char* key) { return short_count(real(broker, key)); };
    const auto warn_if_any = [&](const char* key) { return count(broker, key) > 0 ? Style::warn : Style::plain; };
    return {{"window    ", Style::dim},
            {fmt::format("{} of {}", short_count(real(field(broker, "tasks"), "in_flight")), number("window"))},
            {fmt::format("  cpu broker {} collector {}", cpu_.text_of("broker"), cpu_.text_of("collector"))},
            {"  workers " + number("workers_died") + " died", warn_if_any("workers_died")},
            {" " + number("workers_silent") + " silent", warn_if_any("workers_silent")},
            {" " + number("workers_left") + " left"},
            {"  frames " + number("refused_frames") + " refused"},
            {" " + number("malformed_frames") + " malformed", warn_if_any("malformed_frames")}};
}

/// Empty where the source is no queue. What there is no room for stands at its end.
Line TopScreen::queue_line(int width) const {
    const json& queue = queue_of(broker_.said());
    if (queue.is_null()) return {};
    const auto number = [&](const char* key) { return short_count(real(queue, key)); };
    const auto oldest = real(queue, "oldest_unacked_s");
    const Span unacked{"  unacked " + number("unacked") + (oldest ? " oldest " + short_time(oldest) : "")};
    const std::string name = "  " + cut(word(queue, "queue", utf8_), 32);
    if (const auto lost_for = real(queue, "lost_for_s")) {
        return {{"queue     ", Style::dim},
                {"not connected for " + short_time(lost_for), Style::bad},
                unacked,
                {name + "  " + word(queue, "trouble", utf8_)}};
    }
    return without_rest({{"queue     ", Style::dim},
                         {"depth "},
                         {number("depth"), Style::bold},
                         unacked,
                         {"  prefetch " + number("prefetch")},
                         {"  redelivered " + number("redelivered")},
                         {name},
                         {" at " + cut(word(queue, "connected", utf8_), 32), Style::dim}},
                        width);
}

/// Empty where it does not wait.
Line TopScreen::sink_line() const {
    if (field(sink_, "waits_for").is_null()) return {};
    return {{"sink      ", Style::dim},
            {"waits for " + word(sink_, "waits_for", utf8_), Style::warn},
            {fmt::format(" for {}: outcomes {}", short_time(real(sink_, "waited_s")),
                         short_count(real(sink_, "waiting")))}};
}

std::vector<Line> TopScreen::figures(int width, int height) const {
    const json& broker = broker_.said();
    std::vector<Line> lines = {
        law(field(broker, "tasks"), "tasks", "accepted", kTaskTerms, tasks_residue(broker), width),
        law(field(broker, "attempts"), "attempts", "started", kAttemptTerms, attempts_residue(broker), width),
        without_rest(rates_line(), width), TopRacing::times(broker, width)};
    if (height >= kRoomForMore) lines.push_back(without_rest(more_line(), width));
    if (height >= kRoomForEnds)
        std::ranges::move(racing_.draw(broker, width, rows_of_racing(height), width >= kWide),
                          std::back_inserter(lines));
    for (Line line : {queue_line(width), sink_line()}) {
        if (!line.empty() && height >= kRoomForEnds) lines.push_back(std::move(line));
    }
    if (broker_.answers()) return lines;
    // What was last said is old.
    for (Line& line : lines) {
        for (Span& span : line) span.style = span.style == Style::bad ? Style::bad : Style::dim;
    }
    return lines;
}

/// One beside the other, where there is room.
std::vector<Line> TopScreen::charts(int width, int rows) const {
    if (width < kWide) return chart_.draw("in flight", width, rows);
    const int left = width / 2;
    std::vector<Line> lines = chart_.draw("in flight", left, rows);
    const std::vector<Line> right = settled_.draw("settled/s", width - left - 1, rows);
    for (std::size_t row = 0; row < lines.size(); ++row) {
        lines[row].push_back({" "});
        lines[row].insert(lines[row].end(), right[row].begin(), right[row].end());
    }
    return lines;
}

std::vector<Line> TopScreen::draw(int width, int height) {
    if (width < 1 || height < 1) return {};
    std::vector<Line> lines = {header(width)};
    const auto append = [&](std::vector<Line> more) { std::ranges::move(more, std::back_inserter(lines)); };
    if (keys_.shows_help()) {
        for (const auto& entry : kHelp) lines.push_back(help_line(entry));
    } else {
        append(figures(width, height));
        const int chart_rows = height < 18 ? 0 : height < 30 ? 3 : height < 45 ? 5 : 8;
        append(charts(width, chart_rows));
        constexpr int kBeside = 5;  // the last line, and two of each table that are no rows
        append(tables_.draw(width, std::max(0, height - static_cast<int>(lines.size()) - kBeside)));
    }
    lines.resize(static_cast<std::size_t>(height) - 1);
    lines.push_back(without_rest(keys_.last_line(tables_), width));
    for (Line& line : lines) cut(line, width);
    return lines;
}

std::vector<Line> TopScreen::draw_once(int width) {
    std::vector<Line> lines = {header(width)};
    const auto append = [&](std::vector<Line> more) { std::ranges::move(more, std::back_inserter(lines)); };
    append(figures(width, kRoomForMore));
    append(tables_.draw_once(width, kOnceRows));
    for (Line& line : lines) cut(line, width);
    return lines;
}

}  // namespace curfew
