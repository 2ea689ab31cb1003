// What a process is told from outside, by signals and by launch, and what each of it means.
//
// TERM and INT stop the process; USR1 drains the broker, and stops any other. The lifeline is a
// socket to launch: lines `drain`, `stop`, `left NAME PID LIFELINE` (it ended with code 0), `died
// NAME PID LIFELINE`, `alone` (the broker died, and is started again) and `over` (the broker ended
// well: everything is in the books, nobody is left to hear this process) come over it, and when it
// closes, launch is gone: stop. While launch holds it, INT and HUP mean nothing here, and TERM is a
// wish for a drain of the group, which is told to launch: whoever sends TERM to all of the group at
// once must not end the work that launch lets finish. NAME is what launch calls a process and PID
// what launch has started, which may be a shell with the process behind it, and the process may go
// by a name of its own; so LIFELINE, the number of the socket that the process got, is what names
// it.
//
// What launch says comes before a signal of the same turn: its TERM comes behind its word. One
// thread, which owns the signals of the process, but for what says otherwise.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "common/process/lifeline.h"
#include "common/process/poller.h"

namespace curfew {

/// An end that launch saw: as much of it as it knows.
struct ProcessEnd {
    std::string_view name;
    std::uint32_t pid = 0;
    std::uint64_t lifeline = 0;  ///< 0: not known
    bool died = false;           ///< else it ended with code 0
};

struct Order {
    enum class What { stop, drain, alone, over, process_ended };
    What what = What::stop;
    ProcessEnd end{};  ///< of process_ended
};

class Orders {
public:
    using Obey = std::function<void(const Order&)>;

    /// From now on signals are for read(), also on the threads that are made later. `lifeline`: its
    /// descriptor; 0: there is none. Throws std::invalid_argument, std::system_error.
    void listen(int lifeline);

    /// Before all else that wakes the loop.
    void wait_for(Poller& poller) const;
    /// Calls `obey` for each order that has come, in their order; a stop may be ordered more than
    /// once. `poller`: what it waited for was its first. `drains`: what USR1 asks for is a drain.
    void read(const Poller& poller, bool drains, const Obey& obey);

    // From any thread, while none reads:
    /// A stop has come and was not read: launch's word or end, or else, where there is no launch,
    /// any signal; one that asks for a drain too, as there is nothing yet that could be finished.
    [[nodiscard]] bool stop_waits() const;
    /// There is a lifeline, and its end was not read.
    [[nodiscard]] bool end_waits() const { return lifeline_.is_there() && lifeline_.has_ended(); }

    [[nodiscard]] bool has_lifeline() const { return lifeline_.is_there(); }
    /// Of the pipe, as its other end sees it too; 0: there is none.
    [[nodiscard]] std::uint64_t lifeline_number() const { return lifeline_.number(); }
    /// There was a launch, and it is gone.
    [[nodiscard]] bool orphaned() const { return orphaned_; }

private:
    void read_lifeline(const Obey& obey);
    void read_line(const std::string& line, const Obey& obey);
    void read_signals(bool drains, const Obey& obey);
    [[nodiscard]] bool asks_launch_to_drain() const;
    void stop(const Obey& obey);

    int signals_ = -1;
    Lifeline lifeline_;
    bool orphaned_ = false;
    bool stopping_ = false;  // a stop was ordered: the next TERM is no wish for a drain
};

}  // namespace curfew
