// What the screen knows, and what keys do to it. What is drawn of it: top_screen_draw.cpp.
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
constexpr std::array kSteps = {200ms, 500ms, 1000ms, 2000ms, 5000ms, 10000ms, 30000ms, 60000ms};

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

// ---- what is known -----------------------------------------------------------------------------

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

// ---- keys --------------------------------------------------------------------------------------

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
