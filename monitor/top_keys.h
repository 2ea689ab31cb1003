// What keys do to the screen: they go to the tables, or to what the last line asks. Pure.
//
//     tables --?--> help --any key--> tables
//     tables --/--> typing, a filter --Enter, Escape--> tables
//     tables --c--> confirming, that a task is cancelled --y: a wish, any other key--> tables
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "common/words/vocabulary.h"
#include "monitor/top_tables.h"

namespace curfew {

/// What a key asks of the shell.
struct Wish {
    bool quit = false;
    std::optional<std::uint64_t> cancel;  ///< the task
};

class TopKeys {
public:
    TopKeys(bool utf8, Duration every) : utf8_(utf8), every_(every) {}

    [[nodiscard]] Wish press(Key key, char typed, TopTables& tables);
    /// Says something in the last line, until the next key.
    void say(std::string_view what);

    [[nodiscard]] bool paused() const { return paused_; }
    [[nodiscard]] Duration every() const { return every_; }
    [[nodiscard]] bool shows_help() const { return mode_ == Mode::help; }
    /// What is asked, or said, or which keys there are.
    [[nodiscard]] Line last_line(const TopTables& tables) const;

private:
    enum class Mode : std::uint8_t { tables, help, typing, confirming };

    [[nodiscard]] Wish answer(char typed);
    void type(Key key, char typed, Table& table);
    void command(char typed, TopTables& tables);
    void ask_to_cancel(const TopTables& tables);
    void step(int by);

    bool utf8_;
    Duration every_;
    bool paused_ = false;
    Mode mode_ = Mode::tables;
    std::uint64_t to_cancel_ = 0;  ///< while confirming: the task, whatever is selected meanwhile
    std::string note_;             ///< empty: there is nothing to say
};

}  // namespace curfew
