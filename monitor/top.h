// `curfew-monitor top`: the group, live, in a terminal. The screen is in top_screen.h; here are the
// terminal, the keys and the thread that asks. Throws std::runtime_error where there is no
// terminal; gives it back on any way out.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>

#include "monitor/top_screen.h"

namespace curfew {

struct TopOptions {
    std::string group;  ///< what it is called; empty: it was not said
    bool once = false;  ///< one screen as text to stdout, no terminal
    Duration every = std::chrono::seconds(1);
    bool color = true;  ///< NO_COLOR in the environment wins
};

/// Runs until q; the exit code (2: once, and the broker does not answer; 128+n: ended by a signal).
/// `look` asks the group, `cancel` gives up a task and returns what became of that, in one line.
/// Both are called by one other thread, never at the same time; leaving waits for the call that
/// runs. What they throw is shown; once, it is thrown on.
int run_top(const TopOptions& options, const std::function<Look()>& look,
            const std::function<std::string(std::uint64_t seq)>& cancel);

}  // namespace curfew
