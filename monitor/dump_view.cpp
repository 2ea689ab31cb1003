#include "monitor/dump_view.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <utility>
#include <vector>

#include "monitor/fields.h"
#include "monitor/table.h"
#include "monitor/terminal_text.h"

namespace curfew {
namespace {

using nlohmann::json;

constexpr std::size_t kAgeColumn = 5;

std::vector<Table::Column> columns() {
    return {{.title = "task", .least = 7, .number = true},
            {.title = "attempt", .least = 7, .number = true},
            {.title = "worker", .least = 6, .elastic = true},
            {.title = "pool", .least = 4, .elastic = true, .drop = 8},
            {.title = "state", .least = 10},
            {.title = "age", .least = 6, .number = true},
            {.title = "in state", .least = 8, .number = true, .drop = 7},
            {.title = "left", .least = 6, .number = true, .drop = 2},
            {.title = "pid", .least = 6, .number = true, .drop = 1},
            {.title = "id", .least = 2, .elastic = true, .drop = 9}};
}

Table::Row row_of(const json& attempt) {
    const auto said = [&](const char* key) { return Table::Cell{word(attempt, key, true)}; };
    const auto time = [&](const char* key) {
        const auto s = real(attempt, key);
        return Table::Cell{short_time(s), s.value_or(-1)};
    };
    Table::Row row;
    row.cells = {said("seq"),   said("attempt"),    said("worker"), said("pool"), said("state"),
                 time("age_s"), time("in_state_s"), time("left_s"), said("pid"),  said("id")};
    return row;
}

std::string attempts_text(const json& attempts, int width) {
    std::vector<Table::Row> rows;
    for (const json& attempt : attempts) rows.push_back(row_of(attempt));
    Table table(columns(), kAgeColumn);
    table.reverse();
    table.fill(std::move(rows));
    return "\n" + table.text(width);
}

std::string slots_text(const json& slots) {
    std::string out;
    for (const json& slot : slots) {
        out += fmt::format("{}: slot {} is out of service: its work (pid {}) was told to stop {} ago\n",
                           word(slot, "worker", true), count(slot, "slot"), word(slot, "pid", true),
                           short_time(real(slot, "stopping_s")));
    }
    return out;
}

}  // namespace

std::string group_dump_text(const json& dump, bool each, int width) {
    std::string out = field(dump, "in_flight").is_null()
                          ? "the broker does not answer: these are the attempts that workers hold\n"
                          : fmt::format("{} in flight\n", many(count(dump, "in_flight"), "attempt"));
    const json& groups = field(dump, "groups");
    if (groups.is_array() && !groups.empty()) out += "    count  state       pool              oldest\n";
    for (const json& group : groups) {
        out += fmt::format("  {:>7}  {:<10}  {:<16} {:>7}\n", count(group, "count"), word(group, "state", true),
                           word(group, "pool", true), short_time(real(group, "oldest_s")));
    }
    const json& attempts = field(dump, "attempts");
    if (each && attempts.is_array() && !attempts.empty()) {
        out += attempts_text(attempts, width);
        if (const auto all = count(dump, "matching"); attempts.size() < all)
            out += fmt::format("... and {} more (--limit)\n", all - attempts.size());
    }
    return out + slots_text(field(dump, "out_of_service"));
}

}  // namespace curfew
