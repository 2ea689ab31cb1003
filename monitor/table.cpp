#include "monitor/table.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

namespace curfew {

void Table::fill(std::vector<Row> rows) {
    rows_ = std::move(rows);
    arrange();
}

void Table::dim() {
    for (Row& row : rows_) {
        row.dim = true;
        for (Cell& cell : row.cells) cell.style = Style::plain;
    }
}

void Table::sort_by_next() {
    const auto next = std::ranges::upper_bound(drawn_, sorted_by_);
    sorted_by_ = drawn_.empty() ? (sorted_by_ + 1) % columns_.size() : next == drawn_.end() ? drawn_.front() : *next;
    falling_ = columns_[sorted_by_].number;
    arrange();
}

void Table::reverse() {
    falling_ = !falling_;
    arrange();
}

void Table::filter(std::string text) {
    filter_ = std::move(text);
    arrange();
}

std::string Table::order() const {
    return fmt::format("by {}{}", columns_[sorted_by_].title, falling_ ? ", falling" : "");
}

const Table::Row* Table::selected() const {
    return selected_ < shown_.size() ? &rows_[shown_[selected_]] : nullptr;
}

bool Table::matches(const Row& row) const {
    const std::string wanted = lower(filter_);
    for (std::size_t i = 0; i < columns_.size(); ++i) {
        const bool searched = !columns_[i].number || i == 0;
        if (searched && lower(row.cells[i].text).find(wanted) != std::string::npos) return true;
    }
    return false;
}

void Table::arrange() {
    shown_.clear();
    for (std::size_t i = 0; i < rows_.size(); ++i) {
        if (matches(rows_[i])) shown_.push_back(i);
    }
    const bool number = columns_[sorted_by_].number;
    std::ranges::stable_sort(shown_, [&](std::size_t a, std::size_t b) {
        const Cell& left = rows_[falling_ ? b : a].cells[sorted_by_];
        const Cell& right = rows_[falling_ ? a : b].cells[sorted_by_];
        return number ? left.value < right.value : before(left.text, right.text);
    });
    const auto at = std::ranges::find_if(shown_, [&](std::size_t i) { return rows_[i].key == selected_key_; });
    if (!selected_key_.empty() && at != shown_.end()) {
        selected_ = static_cast<std::size_t>(at - shown_.begin());
    } else {
        selected_key_.clear();
        selected_ = shown_.empty() ? 0 : std::min(selected_, shown_.size() - 1);
    }
}

void Table::move(Key key) {
    if (shown_.empty()) return;
    const std::size_t last = shown_.size() - 1;
    const auto down = [&](std::size_t by) { selected_ = std::min(last, selected_ + by); };
    const auto up = [&](std::size_t by) { selected_ -= std::min(selected_, by); };
    if (key == Key::up) up(1);
    if (key == Key::down) down(1);
    if (key == Key::page_up) up(page_);
    if (key == Key::page_down) down(page_);
    if (key == Key::home) selected_ = 0;
    if (key == Key::end) selected_ = last;
    // At the top it stays at the top, whichever row that is.
    selected_key_ = selected_ == 0 ? "" : rows_[shown_[selected_]].key;
}

std::vector<Table::Place> Table::places(int width) const {
    std::vector<Place> places;
    for (std::size_t c = 0; c < columns_.size(); ++c) {
        int wide = std::max(columns_[c].least, columns_of(columns_[c].title));
        for (const std::size_t i : shown_) wide = std::max(wide, columns_of(rows_[i].cells[c].text));
        places.push_back({c, wide});
    }
    const auto too_wide = [&] {
        const int gaps = static_cast<int>(places.size()) - 1;
        return std::accumulate(places.begin(), places.end(), gaps, [](int sum, Place p) { return sum + p.width; }) >
               width;
    };
    const auto drop = [&](int least) {
        const auto by_drop = [&](Place p) { return columns_[p.column].drop; };
        const auto at = std::ranges::max_element(places, {}, by_drop);
        if (at == places.end() || by_drop(*at) < least) return false;
        places.erase(at);
        return true;
    };
    const auto shrink = [&](int floor) {
        const auto room = [&](Place p) { return columns_[p.column].elastic ? p.width : 0; };
        const auto at = std::ranges::max_element(places, {}, room);
        if (at == places.end() || room(*at) <= floor) return false;
        --at->width;
        return true;
    };
    // First what is a luxury, then long names, then columns, then names again.
    while (too_wide() && (drop(9) || shrink(20) || drop(8) || shrink(12) || drop(1) || shrink(4))) {
    }
    return places;
}

Line Table::titles(const std::vector<Place>& places) const {
    Line line;
    for (const Place& place : places) {
        const Column& column = columns_[place.column];
        if (!line.empty()) line.push_back({" "});
        line.push_back(
            {fitted(column.title, place.width, column.number), place.column == sorted_by_ ? Style::bold : Style::dim});
    }
    return line;
}

Line Table::line_of(const Row& row, const std::vector<Place>& places, bool selected) const {
    Line line;
    for (const Place& place : places) {
        const Cell& cell = row.cells[place.column];
        const Style otherwise = row.dim && cell.style == Style::plain ? Style::dim : cell.style;
        const Style style = selected ? Style::selected : otherwise;
        if (!line.empty()) line.push_back({" ", selected ? Style::selected : Style::plain});
        line.push_back({fitted(cell.text, place.width, columns_[place.column].number), style});
    }
    return line;
}

std::vector<Line> Table::draw(int width, int rows, bool active) {
    page_ = static_cast<std::size_t>(std::max(1, rows));
    first_ = std::min(first_, selected_);
    if (selected_ >= first_ + page_) first_ = selected_ - page_ + 1;
    if (first_ + page_ > shown_.size()) first_ = shown_.size() - std::min(page_, shown_.size());
    const auto at = places(width);
    drawn_.clear();
    for (const Place& place : at) drawn_.push_back(place.column);
    std::vector<Line> lines = {titles(at)};
    for (std::size_t i = first_; i < std::min(shown_.size(), first_ + static_cast<std::size_t>(std::max(0, rows)));
         ++i) {
        lines.push_back(line_of(rows_[shown_[i]], at, active && i == selected_));
    }
    return lines;
}

std::string Table::text(int width) {
    std::string out;
    for (const Line& line : draw(width, static_cast<int>(size()), false)) {
        std::string text = plain_text(line);
        text.erase(text.find_last_not_of(' ') + 1);
        out += text + "\n";
    }
    return out;
}

}  // namespace curfew
