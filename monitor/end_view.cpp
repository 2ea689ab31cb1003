#include "monitor/end_view.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <vector>

#include "monitor/fields.h"
#include "monitor/terminal_text.h"

namespace curfew {
namespace {

using nlohmann::json;

enum Column : std::size_t {
    time_column,
    id_column,
    attempt_column,
    worker_column,
    pool_column,
    end_column,
    took_column,
    error_column
};
constexpr std::array kTitles = {"time", "id", "att", "worker", "pool", "end", "took", "error"};

WallTime time_of(const json& end, WallTime now) {
    const auto ago = std::chrono::duration<double>(real(end, "ago_s").value_or(0));
    return now - std::chrono::duration_cast<std::chrono::milliseconds>(ago);
}

/// With the milliseconds, as `format` has the rest of it.
std::string time_text(WallTime at, bool local) {
    const auto ms = std::chrono::floor<std::chrono::milliseconds>(at);
    const auto s = std::chrono::floor<std::chrono::seconds>(ms);
    const std::time_t seconds = std::chrono::system_clock::to_time_t(s);
    const auto rest = (ms - s).count();
    return local ? fmt::format("{:%H:%M:%S}.{:03}", fmt::localtime(seconds), rest)
                 : fmt::format("{:%Y-%m-%dT%H:%M:%S}.{:03}Z", fmt::gmtime(seconds), rest);
}

/// The end of it: that is what tells one id from another.
std::string tail(const std::string& text, int width) {
    std::string_view rest = text;
    while (columns_of(rest) > width - 1 && columns_of(text) > width) {
        rest.remove_prefix(1);
        while (!rest.empty() && (static_cast<unsigned char>(rest.front()) & 0xc0U) == 0x80) rest.remove_prefix(1);
    }
    return rest.size() == text.size() ? text : "~" + std::string(rest);
}

}  // namespace

std::string end_lines(const json& answer, WallTime now) {
    std::string out;
    if (const auto missed = count(answer, "missed"); missed > 0) out += fmt::format("{{\"missed\":{}}}\n", missed);
    const json& ends = field(answer, "ends");
    if (!ends.is_array()) return out;
    for (const json& end : ends) {
        nlohmann::ordered_json line = {{"time", time_text(time_of(end, now), false)}};
        for (const char* name : {"seq", "id", "attempt", "worker", "pool", "end", "called_home", "hedge", "took_s",
                                 "error", "session", "number", "left_out"}) {
            line[name] = field(end, name);
        }
        out += line.dump(-1, ' ', false, json::error_handler_t::replace) + "\n";
    }
    return out;
}

EndTable::EndTable(int width, bool utf8)
    : width_(width), utf8_(utf8), wide_{12, 4, 3, 6, 4, 9, 6, 0}, most_{12,
                                                                        std::clamp(width / 5, 8, 40),
                                                                        5,
                                                                        std::clamp(width / 8, 6, 24),
                                                                        std::clamp(width / 10, 4, 24),
                                                                        9,
                                                                        7,
                                                                        0} {}

EndTable::Row EndTable::row_of(const json& end, WallTime now) const {
    const auto said = [&](const char* key) { return word(end, key, utf8_); };
    const bool failed = !field(end, "error").is_null();
    return {time_text(time_of(end, now), true),
            tail(said("id"), most_[id_column]),
            said("attempt"),
            said("worker"),
            said("pool"),
            said("end"),
            short_time(real(end, "took_s")),
            failed ? said("error") : ""};
}

std::string EndTable::line_of(const Row& row) const {
    std::string out;
    for (std::size_t c = 0; c < error_column; ++c)
        out += fitted(row[c], wide_[c], c == attempt_column || c == took_column) + " ";
    const int room = width_ - columns_of(out);
    if (room > 1 && !row[error_column].empty())
        out += columns_of(row[error_column]) > room ? cut(row[error_column], room - 1) + "~" : row[error_column];
    out = cut(out, width_);
    out.erase(out.find_last_not_of(' ') + 1);
    return out + "\n";
}

std::string EndTable::lines(const json& answer, WallTime now) {
    std::string out;
    if (const auto missed = count(answer, "missed"); missed > 0)
        out += fmt::format("... {} missed\n", many(missed, "end"));
    const json& ends = field(answer, "ends");
    if (!ends.is_array() || ends.empty()) return out;
    std::vector<Row> rows;
    for (const json& end : ends) {
        rows.push_back(row_of(end, now));
        for (std::size_t c = 0; c < error_column; ++c)
            wide_[c] = std::clamp(columns_of(rows.back()[c]), wide_[c], std::max(wide_[c], most_[c]));
    }
    if (!headed_) {
        Row titles;
        std::ranges::copy(kTitles, titles.begin());
        out += line_of(titles);
        headed_ = true;
    }
    for (std::size_t i = 0; i < rows.size(); ++i) {
        if (const auto left_out = count(ends[i], "left_out"); left_out > 0)
            out += fmt::format("... {} more {}\n", left_out, rows[i][end_column]);
        out += line_of(rows[i]);
    }
    return out;
}

}  // namespace curfew
