#include "monitor/top_screen.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <limits>

#include "monitor/fields.h"

namespace curfew {
namespace {

using nlohmann::json;
using namespace std::chrono_literals;

constexpr std::size_t kHistory = 600;  // looks
constexpr std::size_t kGone = 64;      // workers remembered
constexpr std::size_t kFilter = 60;    // bytes
constexpr int kOnceRows = 24;
constexpr std::array kSteps = {200ms, 500ms, 1000ms, 2000ms, 5000ms, 10000ms, 30000ms, 60000ms};

double seconds(Duration duration) {
    return std::chrono::duration<double>(duration).count();
}

// ---- the laws ------------------------------------------------------------------------------------------------------

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
Line law(const json& books, const char* name, const char* all, const std::array<Term, n>& terms, int width) {
    std::uint64_t sum = 0;
    for (const Term& term : terms) sum += count(books, term.key);
    const auto off = static_cast<std::int64_t>(count(books, all) - sum);
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

// ---- help ----------------------------------------------------------------------------------------------------------

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

std::vector<Table::Column> worker_columns() {
    return {{.title = "name", .least = 4, .elastic = true},
            {.title = "pool", .least = 4, .elastic = true, .drop = 8},
            {.title = "state", .least = 5},
            {.title = "slots", .least = 5, .number = true},
            {.title = "flight", .least = 6, .number = true},
            {.title = "cred", .least = 4, .number = true, .drop = 7},
            {.title = "won", .least = 5, .number = true},
            {.title = "late", .least = 5, .number = true, .drop = 4},
            {.title = "canc", .least = 5, .number = true, .drop = 3},
            {.title = "fail", .least = 4, .number = true},
            {.title = "exp", .least = 4, .number = true, .drop = 5},
            {.title = "lost", .least = 4, .number = true},
            {.title = "p99", .least = 5, .number = true, .drop = 2},
            {.title = "heard", .least = 5, .number = true, .drop = 6},
            {.title = "cpu", .least = 4, .number = true, .drop = 9}};
}

constexpr std::size_t kAgeColumn = 6;
constexpr double kNoDeadline = std::numeric_limits<double>::infinity();

std::vector<Table::Column> attempt_columns() {
    return {{.title = "task", .least = 7, .number = true},
            {.title = "id", .least = 8, .elastic = true, .drop = 5},
            {.title = "att", .least = 3, .number = true},
            {.title = "worker", .least = 6, .elastic = true},
            {.title = "pool", .least = 4, .elastic = true, .drop = 8},
            {.title = "state", .least = 10},
            {.title = "age", .least = 6, .number = true},
            {.title = "in state", .least = 8, .number = true, .drop = 9},
            {.title = "left", .least = 6, .number = true, .drop = 3},
            {.title = "pid", .least = 6, .number = true, .drop = 4}};
}

Table::Cell number_cell(std::optional<double> value, Style style_if_any = Style::plain) {
    return {short_count(value), value.value_or(-1), value.value_or(0) > 0 ? style_if_any : Style::plain};
}

Table::Cell time_cell(std::optional<double> s, double none = -1) {
    const bool over = s && *s < 0;
    return {short_time(s), s.value_or(none), over ? Style::bad : Style::plain};
}

Table::Cell text_cell(std::string text, Style style = Style::plain) {
    return {std::move(text), 0, style};
}

}  // namespace

// ---- what is known -------------------------------------------------------------------------------------------------

TopScreen::TopScreen(bool utf8, Duration every)
    : utf8_(utf8), every_(every), workers_(worker_columns(), 0), attempts_(attempt_columns(), kAgeColumn) {
    attempts_.reverse();
}

std::string TopScreen::word(const json& object, const char* key) const {
    const json& value = field(object, key);
    if (value.is_null()) return "-";
    if (value.is_string()) return clean(value.get_ref<const std::string&>(), utf8_);
    return clean(value.dump(-1, ' ', true, json::error_handler_t::replace), utf8_);
}

void TopScreen::say(std::string_view what) {
    while (!what.empty() && (what.back() == '\n' || what.back() == ' ')) what.remove_suffix(1);
    note_ = clean(what, utf8_);
}

void TopScreen::add(const Look& look, Instant now, std::string time) {
    looked_ = true;
    now_ = now;
    time_ = std::move(time);
    take_broker(look);
    take_rates();
    take_cpu(look);
    take_workers(look);
    fill_workers();
    fill_attempts(look.dump);
}

void TopScreen::take_broker(const Look& look) {
    const bool answered = broker_answers_;
    broker_answers_ = false;
    collector_ = {};
    for (const auto& [name, said] : look.stats) {
        const json& role = field(said, "role");
        if (role == "broker") {
            broker_ = said;
            broker_answers_ = true;
        }
        if (role == "collector") collector_ = said;
    }
    if (!broker_answers_ && (answered || gone_since_.empty())) {
        gone_since_ = time_;
        gone_at_ = now_;
    }
    const auto in_flight = real(field(broker_, "attempts"), "in_flight");
    in_flight_.push_back(broker_answers_ ? in_flight : std::nullopt);
    if (in_flight_.size() > kHistory) in_flight_.pop_front();
}

void TopScreen::take_rates() {
    if (!broker_answers_) {
        before_.reset();
        rates_ = {};
        return;
    }
    const json& tasks = field(broker_, "tasks");
    Totals totals{.at = now_, .incarnation = count(broker_, "incarnation")};
    totals.counts[0] = real(tasks, "accepted").value_or(0);
    for (const char* outcome : {"completed", "failed", "expired", "cancelled"})
        totals.counts[1] += real(tasks, outcome).value_or(0);
    totals.counts[2] = real(field(broker_, "attempts"), "started").value_or(0);
    const bool same_life = before_ && before_->incarnation == totals.incarnation && now_ > before_->at;
    constexpr std::array kSaid = {"accepted_per_s", "settled_per_s", "started_per_s"};
    for (std::size_t i = 0; i < rates_.size(); ++i) {
        rates_[i] = same_life ? std::max(0.0, totals.counts[i] - before_->counts[i]) / seconds(now_ - before_->at)
                              : real(field(broker_, "rates"), kSaid[i]);
    }
    before_ = totals;
}

void TopScreen::take_cpu(const Look& look) {
    std::map<std::string, Used> used;
    for (const auto& [name, said] : look.stats) {
        const auto cpu = real(said, "cpu_s");
        if (!cpu) continue;
        Used now{now_, count(said, "incarnation"), *cpu, std::nullopt};
        const auto old = used_.find(name);
        if (old != used_.end() && old->second.incarnation == now.incarnation && now_ > old->second.at)
            now.share = std::max(0.0, *cpu - old->second.cpu_s) / seconds(now_ - old->second.at);
        used[name] = now;
    }
    used_ = std::move(used);
}

std::string TopScreen::cpu_of(const std::string& name) const {
    const auto at = used_.find(name);
    return at == used_.end() || !at->second.share ? "-" : fmt::format("{:.0f}%", *at->second.share * 100);
}

void TopScreen::take_workers(const Look& look) {
    for (auto& [key, worker] : known_) {
        worker.listed = worker.answers = false;
        worker.said = {};
    }
    const json& listed = field(broker_, "workers");
    if (broker_answers_ && listed.is_array()) {
        for (const json& row : listed) {
            Known& worker = known_[{field(row, "name").is_string() ? row["name"] : json("-"), count(row, "session")}];
            worker.row = row;
            worker.listed = true;
        }
    }
    for (const auto& [name, said] : look.stats) {
        const bool other = said.is_null() ? name == "broker" || name == "collector" : field(said, "role") != "worker";
        if (other) continue;
        // What it says is of its newest session.
        auto at = known_.upper_bound({name, std::numeric_limits<Session>::max()});
        const bool known = at != known_.begin() && std::prev(at)->first.first == name;
        Known& worker = known ? std::prev(at)->second : known_[{name, 0}];
        worker.said = said;
        worker.answers = said.is_object();
    }
    forget_workers();
}

/// A row of an old session where there is a newer; and the longest gone where there are too many.
void TopScreen::forget_workers() {
    std::map<std::string, bool> present;
    for (const auto& [key, worker] : known_) present[key.first] |= worker.listed || worker.answers;
    std::vector<std::pair<Instant, std::pair<std::string, Session>>> gone;
    for (auto at = known_.begin(); at != known_.end();) {
        Known& worker = at->second;
        const bool here = worker.listed || worker.answers;
        if (!here && present[at->first.first]) {
            at = known_.erase(at);
            continue;
        }
        if (here) worker.gone_at.reset();
        if (!here && !worker.gone_at) worker.gone_at = now_;
        if (!here) gone.emplace_back(*worker.gone_at, at->first);
        ++at;
    }
    std::ranges::sort(gone);
    for (std::size_t i = 0; i + kGone < gone.size(); ++i) known_.erase(gone[i].second);
}

void TopScreen::fill_workers() {
    std::vector<Table::Row> rows;
    for (const auto& [key, worker] : known_) {
        rows.push_back(row_of(key.first, worker));
        rows.back().key = fmt::format("{}#{}", key.first, key.second);
    }
    workers_.fill(std::move(rows));
}

Table::Cell TopScreen::state_of(const Known& worker) const {
    if (worker.gone_at) return text_cell("gone", Style::bad);
    if (!broker_answers_) return text_cell("no broker", Style::warn);
    if (!worker.listed) return text_cell("no session", Style::warn);
    const std::string state = word(worker.row, "state");
    return text_cell(state, state == "ready" && worker.answers ? Style::good : Style::warn);
}

Table::Row TopScreen::row_of(const std::string& name, const Known& worker) const {
    const json& row = worker.row;
    const json& slots = field(worker.said, "slots");
    const auto all = slots.is_object() ? real(slots, "all") : real(row, "slots");
    const auto in_service = real(row, "slots_in_service");
    const bool out = count(slots, "out_of_service") > 0 || (in_service && all && *in_service < *all);
    const json& pool = field(row, "pool").is_null() ? worker.said : row;
    const json& took = field(row, "took");
    const double p99_us = count(took, "count") > 0 ? real(took, "p99_us").value_or(-1) : -1;
    const auto heard = worker.gone_at ? seconds(now_ - *worker.gone_at) : real(row, "last_heard_s");
    const auto used = used_.find(name);
    Table::Row out_row;
    out_row.dim = worker.gone_at.has_value();
    out_row.cells = {
        text_cell(clean(name, utf8_)),
        text_cell(word(pool, "pool")),
        state_of(worker),
        {fmt::format("{}/{}{}", short_count(real(slots, "busy")), short_count(all), out ? "!" : ""),
         real(slots, "busy").value_or(-1), out ? Style::warn : Style::plain},
        number_cell(worker.gone_at ? std::nullopt : real(row, "in_flight")),
        number_cell(worker.gone_at ? std::nullopt : real(row, "credit")),
        number_cell(real(row, "won")),
        number_cell(real(row, "late")),
        number_cell(real(row, "cancelled")),
        number_cell(real(row, "failed"), Style::warn),
        number_cell(real(row, "expired"), Style::warn),
        number_cell(real(row, "lost"), Style::bad),
        {p99_us < 0 ? "-" : short_time(p99_us / 1e6), p99_us},
        {short_time(heard), heard.value_or(-1)},
        {cpu_of(name), used == used_.end() ? -1 : used->second.share.value_or(-1)},
    };
    return out_row;
}

void TopScreen::fill_attempts(const json& dump) {
    places_.clear();
    const json& groups = field(dump, "groups");
    if (groups.is_array()) {
        for (const json& group : groups) places_[word(group, "state")] += count(group, "count");
    }
    dumped_ = real(dump, "in_flight");
    std::vector<Table::Row> rows;
    const json& attempts = field(dump, "attempts");
    if (attempts.is_array()) {
        for (const json& a : attempts) {
            const std::string state = word(a, "state");
            Table::Row row;
            row.seq = count(a, "seq");
            row.key = fmt::format("{}/{}", row.seq, count(a, "attempt"));
            row.cells = {{word(a, "seq"), static_cast<double>(row.seq)},
                         text_cell(word(a, "id")),
                         {word(a, "attempt"), real(a, "attempt").value_or(-1)},
                         text_cell(word(a, "worker")),
                         text_cell(word(a, "pool")),
                         text_cell(state, state == "cancelling" ? Style::warn : Style::plain),
                         time_cell(real(a, "age_s")),
                         time_cell(real(a, "in_state_s")),
                         time_cell(real(a, "left_s"), kNoDeadline),
                         {word(a, "pid"), real(a, "pid").value_or(-1)}};
            rows.push_back(std::move(row));
        }
    }
    attempts_.fill(std::move(rows));
}

// ---- what is drawn -------------------------------------------------------------------------------------------------

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
    std::vector<Line> lines = {law(field(broker_, "tasks"), "tasks", "accepted", kTaskTerms, width),
                               law(field(broker_, "attempts"), "attempts", "started", kAttemptTerms, width),
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

// ---- keys ----------------------------------------------------------------------------------------------------------

Wish TopScreen::press(Key key, char typed) {
    if (key == Key::none) return {};
    note_.clear();
    if (confirming_) return answer(key == Key::character ? typed : 'n');
    if (typing_) {
        type(key, typed);
        return {};
    }
    if (help_) {
        help_ = false;
        return {};
    }
    if (key == Key::character && typed == 'q') return {true, std::nullopt};
    if (key == Key::character) command(typed);
    if (key == Key::tab) on_workers_ = !on_workers_;
    if (key == Key::escape) active().filter("");
    active().move(key);
    return {};
}

Wish TopScreen::answer(char typed) {
    const std::uint64_t seq = *confirming_;
    confirming_.reset();
    const bool yes = typed == 'y' || typed == 'Y';
    say(yes ? fmt::format("cancelling task {}...", seq) : fmt::format("task {} was not cancelled", seq));
    return yes ? Wish{false, seq} : Wish{};
}

void TopScreen::type(Key key, char typed) {
    std::string text = active().filter();
    if (key == Key::enter) typing_ = false;
    if (key == Key::escape) {
        typing_ = false;
        text.clear();
    }
    if (key == Key::backspace && !text.empty()) {
        while (text.size() > 1 && (static_cast<unsigned char>(text.back()) & 0xc0U) == 0x80) text.pop_back();
        text.pop_back();
    }
    if (key == Key::character && text.size() < kFilter) text += typed;
    active().filter(text);
}

void TopScreen::command(char typed) {
    if (typed == '?') help_ = true;
    if (typed == 's') active().sort_by_next();
    if (typed == 'r') active().reverse();
    if (typed == '/') typing_ = true;
    if (typed == 'c') ask_to_cancel();
    if (typed == ' ') paused_ = !paused_;
    if (typed == '+') step(1);
    if (typed == '-') step(-1);
}

void TopScreen::ask_to_cancel() {
    const Table::Row* row = attempts_.selected();
    if (on_workers_)
        say("Tab to the attempts, and select one whose task is to be cancelled");
    else if (row == nullptr || row->seq == 0)
        say("there is no attempt to select");
    else
        confirming_ = row->seq;
}

void TopScreen::step(int by) {
    const auto longer = std::ranges::find_if(kSteps, [&](auto step) { return step > every_; });
    const auto same = std::ranges::find_if(kSteps, [&](auto step) { return step >= every_; });
    if (by > 0 && longer != kSteps.end()) every_ = *longer;
    if (by < 0 && same != kSteps.begin()) every_ = *std::prev(same);
}

}  // namespace curfew
