#include "monitor/top_tables.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <limits>
#include <utility>

#include "monitor/fields.h"

namespace curfew {
namespace {

using nlohmann::json;

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
            {.title = "ends/s", .least = 6, .number = true, .drop = 10},
            {.title = "p50", .least = 5, .number = true, .drop = 11},
            {.title = "p99", .least = 5, .number = true, .drop = 2},
            {.title = "heard", .least = 5, .number = true, .drop = 6},
            {.title = "cpu", .least = 4, .number = true, .drop = 9},
            {.title = "que", .least = 4, .number = true, .drop = 12},
            {.title = "run", .least = 4, .number = true, .drop = 12},
            {.title = "stop", .least = 4, .number = true, .drop = 12},
            {.title = "sent", .least = 6, .number = true, .drop = 13},
            {.title = "mem MiB", .least = 7, .number = true, .drop = 14},
            {.title = "up", .least = 6, .number = true, .drop = 15},
            {.title = "pid", .least = 7, .number = true, .drop = 16},
            {.title = "session", .least = 7, .number = true, .drop = 17}};
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
            {.title = "pid", .least = 6, .number = true, .drop = 4},
            {.title = "session", .least = 7, .number = true, .drop = 10},
            {.title = "number", .least = 7, .number = true, .drop = 11}};
}

Table::Cell number_cell(std::optional<double> value, Style style_if_any = Style::plain) {
    return {short_count(value), value.value_or(-1), value.value_or(0) > 0 ? style_if_any : Style::plain};
}

Table::Cell time_cell(std::optional<double> s, double none = -1) {
    const bool over = s && *s < 0;
    return {short_time(s), s.value_or(none), over ? Style::bad : Style::plain};
}

/// Of the attempts of a worker that the broker lists.
Table::Cell took_cell(const json& row, const char* quantile) {
    const json& took = field(row, "took");
    return {us(took, quantile), count(took, "count") > 0 ? real(took, quantile).value_or(-1) : -1};
}

/// For a wide screen: what the worker says of itself, and what it is called.
std::vector<Table::Cell> more_cells(const KnownWorkers::Id& id, const KnownWorkers::Worker& worker) {
    const json& held = field(worker.said, "held");
    const auto memory_kib = real(worker.said, "memory_kib");
    const auto pid = real(worker.said.is_object() ? worker.said : worker.row, "pid");
    const auto whole = [](std::optional<double> value) {
        return Table::Cell{value ? fmt::format("{:.0f}", *value) : "-", value.value_or(-1)};
    };
    return {number_cell(real(held, "queued")),
            number_cell(real(held, "running")),
            number_cell(real(held, "cancelling"), Style::warn),
            number_cell(real(worker.row, "sent")),
            whole(memory_kib ? std::optional(*memory_kib / 1024) : std::nullopt),
            time_cell(real(worker.said, "uptime_s")),
            whole(pid),
            {id.second == 0 ? "-" : std::to_string(id.second), static_cast<double>(id.second)}};
}

Table::Cell text_cell(std::string text, Style style = Style::plain) {
    return {std::move(text), 0, style};
}

}  // namespace

TopTables::TopTables(bool utf8) : utf8_(utf8), workers_(worker_columns(), 0), attempts_(attempt_columns(), kAgeColumn) {
    attempts_.reverse();
}

// ---- rows --------------------------------------------------------------------------------------

void TopTables::add(const Look& look, const KnownBroker& broker, const CpuShares& cpu, Instant now) {
    known_.add(look, broker.workers(), now);
    std::vector<Table::Row> rows;
    for (const auto& [id, worker] : known_.all()) rows.push_back(row_of(id, worker, broker, cpu, now));
    workers_.fill(std::move(rows));
    add_attempts(look.dump);
}

void TopTables::make_old() {
    workers_.dim();
    attempts_.dim();
}

Table::Cell TopTables::state_of(const KnownWorkers::Worker& worker, bool broker_answers) const {
    if (worker.gone_at) return text_cell("gone", Style::bad);
    if (!broker_answers) return text_cell("no broker", Style::warn);
    if (!worker.listed) return text_cell("no session", Style::warn);
    const std::string state = word(worker.row, "state", utf8_);
    return text_cell(state, state == "ready" && worker.answers ? Style::good : Style::warn);
}

Table::Row TopTables::row_of(const KnownWorkers::Id& id, const KnownWorkers::Worker& worker, const KnownBroker& broker,
                             const CpuShares& cpu, Instant now) const {
    const json& row = worker.row;
    const json& slots = field(worker.said, "slots");
    const auto all = slots.is_object() ? real(slots, "all") : real(row, "slots");
    const auto in_service = real(row, "slots_in_service");
    const bool out = count(slots, "out_of_service") > 0 || (in_service && all && *in_service < *all);
    const json& pool = field(row, "pool").is_null() ? worker.said : row;
    const auto heard = worker.gone_at ? seconds(now - *worker.gone_at) : real(row, "last_heard_s");
    Table::Row out_row;
    out_row.key = fmt::format("{}#{}", id.first, id.second);
    out_row.dim = worker.gone_at.has_value();
    out_row.cells = {
        text_cell(clean(id.first, utf8_)),
        text_cell(word(pool, "pool", utf8_)),
        state_of(worker, broker.answers()),
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
        {rate(worker.ends_per_s), worker.ends_per_s.value_or(-1)},
        took_cell(row, "p50_us"),
        took_cell(row, "p99_us"),
        {short_time(heard), heard.value_or(-1)},
        {cpu.text_of(id.first), cpu.of(id.first).value_or(-1)},
    };
    std::ranges::move(more_cells(id, worker), std::back_inserter(out_row.cells));
    return out_row;
}

void TopTables::add_attempts(const json& dump) {
    dumped_ = real(dump, "in_flight");
    places_.clear();
    if (const json& groups = field(dump, "groups"); groups.is_array()) {
        for (const json& group : groups) places_[word(group, "state", utf8_)] += count(group, "count");
    }
    std::vector<Table::Row> rows;
    if (const json& attempts = field(dump, "attempts"); attempts.is_array()) {
        for (const json& attempt : attempts) rows.push_back(row_of(attempt));
    }
    attempts_.fill(std::move(rows));
}

Table::Row TopTables::row_of(const json& attempt) const {
    const auto said = [&](const char* key) { return word(attempt, key, utf8_); };
    const std::string state = said("state");
    Table::Row row;
    row.seq = count(attempt, "seq");
    row.key = fmt::format("{}/{}", row.seq, count(attempt, "attempt"));
    row.cells = {{said("seq"), static_cast<double>(row.seq)},
                 text_cell(said("id")),
                 {said("attempt"), real(attempt, "attempt").value_or(-1)},
                 text_cell(said("worker")),
                 text_cell(said("pool")),
                 text_cell(state, state == "cancelling" ? Style::warn : Style::plain),
                 time_cell(real(attempt, "age_s")),
                 time_cell(real(attempt, "in_state_s")),
                 time_cell(real(attempt, "left_s"), kNoDeadline),
                 {said("pid"), real(attempt, "pid").value_or(-1)},
                 {said("session"), real(attempt, "session").value_or(-1)},
                 {said("number"), real(attempt, "number").value_or(-1)}};
    return row;
}

// ---- what is drawn -----------------------------------------------------------------------------

void TopTables::add_order(Line& line, const Table& table, bool live) const {
    if (!table.filter().empty()) {
        line.push_back({fmt::format("  {} with '{}'", table.matching(), clean(table.filter(), utf8_)), Style::warn});
    }
    if (live) line.push_back({"  " + table.order(), Style::dim});
}

Line TopTables::workers_title(bool live) const {
    const std::size_t gone = known_.gone();
    Line line = {{"WORKERS", live && on_workers_ ? Style::selected : Style::bold},
                 {fmt::format(" {}", known_.all().size() - gone)}};
    if (gone > 0) line.push_back({fmt::format("  {} gone", gone), Style::bad});
    add_order(line, workers_, live);
    return line;
}

Line TopTables::attempts_title(bool live) const {
    Line line = {{"ATTEMPTS", live && !on_workers_ ? Style::selected : Style::bold}};
    line.push_back({" " + short_count(dumped_)});
    add_order(line, attempts_, live);
    if (static_cast<double>(attempts_.size()) < dumped_.value_or(0))
        line.push_back({fmt::format("  the oldest {}", attempts_.size())});
    for (const auto& [state, all] : places_)
        line.push_back({fmt::format("  {} {}", short_count(static_cast<double>(all)), cut(state, 12))});
    return line;
}

std::vector<Line> TopTables::draw(int width, int workers, int attempts, bool live) {
    std::vector<Line> lines = {without_rest(workers_title(live), width)};
    for (Line& line : workers_.draw(width, workers, live && on_workers_)) lines.push_back(std::move(line));
    lines.resize(static_cast<std::size_t>(workers) + 2);
    lines.push_back(without_rest(attempts_title(live), width));
    for (Line& line : attempts_.draw(width, attempts, live && !on_workers_)) lines.push_back(std::move(line));
    return lines;
}

std::vector<Line> TopTables::draw(int width, int rows) {
    const int all_workers = std::max(1, static_cast<int>(workers_.matching()));
    const int all_attempts = static_cast<int>(attempts_.matching());
    const int workers = std::min({rows, all_workers, std::max(rows / 2, rows - all_attempts)});
    return draw(width, workers, rows - workers, true);
}

std::vector<Line> TopTables::draw_once(int width, int most) {
    return draw(width, std::min(most, static_cast<int>(workers_.matching())), most, false);
}

}  // namespace curfew
