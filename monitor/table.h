// A table for a terminal: sorted, filtered, scrolled, cut to a width. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "monitor/terminal_text.h"

namespace curfew {

enum class Key : std::uint8_t {
    character,  ///< what was typed is beside it
    up,
    down,
    page_up,
    page_down,
    home,
    end,
    tab,
    enter,
    escape,
    backspace,
    none
};

class Table {
public:
    struct Column {
        const char* title;
        int least = 0;         ///< width
        bool number = false;   ///< right aligned, and sorted as a number
        bool elastic = false;  ///< may be cut
        int drop = 0;          ///< which go first where there is no room: the greatest; 0: never
    };
    struct Cell {
        std::string text;
        double value = 0;
        Style style = Style::plain;
    };
    struct Row {
        std::string key;
        std::uint64_t seq = 0;
        std::vector<Cell> cells;
        bool dim = false;
    };

    Table(std::vector<Column> columns, std::size_t sorted_by) : columns_(std::move(columns)), sorted_by_(sorted_by) {}

    void fill(std::vector<Row> rows);
    /// All rows, and each cell of them, until the next fill().
    void dim();
    /// Of the columns that there was room for.
    void sort_by_next();
    void reverse();
    void filter(std::string text);
    void move(Key key);

    [[nodiscard]] const std::string& filter() const { return filter_; }
    [[nodiscard]] std::string order() const;
    [[nodiscard]] std::size_t size() const { return rows_.size(); }
    [[nodiscard]] std::size_t matching() const { return shown_.size(); }
    [[nodiscard]] const Row* selected() const;
    /// The titles of the columns and at most so many rows, the selected one among them.
    [[nodiscard]] std::vector<Line> draw(int width, int rows, bool active);
    /// All of it, for where nobody scrolls: lines without styles.
    [[nodiscard]] std::string text(int width);

private:
    struct Place {
        std::size_t column;
        int width;
    };

    void arrange();
    [[nodiscard]] bool matches(const Row& row) const;
    [[nodiscard]] std::vector<Place> places(int width) const;
    [[nodiscard]] Line titles(const std::vector<Place>& places) const;
    [[nodiscard]] Line line_of(const Row& row, const std::vector<Place>& places, bool selected) const;

    std::vector<Column> columns_;
    std::vector<Row> rows_;
    std::vector<std::size_t> drawn_;  ///< of columns_: what there was room for
    std::vector<std::size_t> shown_;  ///< of rows_: those that match, sorted
    std::size_t sorted_by_;
    bool falling_ = false;
    std::string filter_;
    std::string selected_key_;  ///< the row the selection follows; empty: it stays at its place
    std::size_t selected_ = 0, first_ = 0, page_ = 1;
};

}  // namespace curfew
