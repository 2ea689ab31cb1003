#include "monitor/top_keys.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <iterator>
#include <utility>

#include "monitor/terminal_text.h"

namespace curfew {
namespace {

using namespace std::chrono_literals;

constexpr std::size_t kFilter = 60;  // bytes
constexpr std::array kSteps = {200ms, 500ms, 1000ms, 2000ms, 5000ms, 10000ms, 30000ms, 60000ms};

}  // namespace

void TopKeys::say(std::string_view what) {
    while (!what.empty() && (what.back() == '\n' || what.back() == ' ')) what.remove_suffix(1);
    note_ = clean(what, utf8_);
}

Wish TopKeys::press(Key key, char typed, TopTables& tables) {
    if (key == Key::none) return {};
    note_.clear();
    switch (mode_) {
        case Mode::confirming: return answer(key == Key::character ? typed : 'n');
        case Mode::typing: type(key, typed, tables.active()); return {};
        case Mode::help: mode_ = Mode::tables; return {};
        case Mode::tables: break;
    }
    if (key == Key::character && typed == 'q') return {true, std::nullopt};
    if (key == Key::character) command(typed, tables);
    if (key == Key::tab) tables.to_the_other();
    if (key == Key::escape) tables.active().filter("");
    tables.active().move(key);
    return {};
}

Wish TopKeys::answer(char typed) {
    const std::uint64_t seq = std::exchange(to_cancel_, 0);
    mode_ = Mode::tables;
    const bool yes = typed == 'y' || typed == 'Y';
    say(yes ? fmt::format("cancelling task {}...", seq) : fmt::format("task {} was not cancelled", seq));
    return yes ? Wish{false, seq} : Wish{};
}

/// Into the filter of this table.
void TopKeys::type(Key key, char typed, Table& table) {
    std::string text = table.filter();
    if (key == Key::enter || key == Key::escape) mode_ = Mode::tables;
    if (key == Key::escape) text.clear();
    if (key == Key::backspace && !text.empty()) {
        while (text.size() > 1 && (static_cast<unsigned char>(text.back()) & 0xc0U) == 0x80) text.pop_back();
        text.pop_back();
    }
    if (key == Key::character && text.size() < kFilter) text += typed;
    table.filter(text);
}

void TopKeys::command(char typed, TopTables& tables) {
    if (typed == '?') mode_ = Mode::help;
    if (typed == 's') tables.active().sort_by_next();
    if (typed == 'r') tables.active().reverse();
    if (typed == '/') mode_ = Mode::typing;
    if (typed == 'c') ask_to_cancel(tables);
    if (typed == ' ') paused_ = !paused_;
    if (typed == '+') step(1);
    if (typed == '-') step(-1);
}

void TopKeys::ask_to_cancel(const TopTables& tables) {
    const Table::Row* row = tables.selected_attempt();
    if (tables.on_workers()) return say("Tab to the attempts, and select one whose task is to be cancelled");
    if (row == nullptr || row->seq == 0) return say("there is no attempt to select");
    to_cancel_ = row->seq;
    mode_ = Mode::confirming;
}

void TopKeys::step(int by) {
    const auto longer = std::ranges::find_if(kSteps, [&](auto step) { return step > every_; });
    const auto same = std::ranges::find_if(kSteps, [&](auto step) { return step >= every_; });
    if (by > 0 && longer != kSteps.end()) every_ = *longer;
    if (by < 0 && same != kSteps.begin()) every_ = *std::prev(same);
}

Line TopKeys::last_line(const TopTables& tables) const {
    if (mode_ == Mode::confirming) return {{fmt::format("cancel task {}? y/n", to_cancel_), Style::warn}};
    if (mode_ == Mode::typing) {
        const std::string typed = clean(tables.active().filter(), utf8_);
        return {{fmt::format("filter: {}_   (Enter keeps it, Esc clears it)", typed), Style::warn}};
    }
    if (!note_.empty()) return {{note_, Style::warn}};
    return {{"q quit  ? help  Tab table  s sort  r reverse  / filter  c cancel  Space pause", Style::dim},
            {fmt::format("  +- {:g}s", seconds(every_)), Style::dim}};
}

}  // namespace curfew
