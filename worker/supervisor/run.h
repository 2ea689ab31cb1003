// One message through one program: what it reads, what it writes, what it says on stderr. Knows
// nothing of how the program is started or stopped. One thread; never blocks.
//
// The write ends of stdout and stderr stay open here: so a pipe never reports a hang-up, the loop
// wakes for what is written and for the end of the process, and who else holds the pipe does not
// matter.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "worker/supervisor/link.h"
#include "worker/supervisor/pipes.h"
#include "worker/supervisor/stderr_digest.h"

namespace curfew {

class Run {
public:
    /// False, with errno, if there are no pipes to be had.
    [[nodiscard]] bool open();
    /// What the program gets.
    [[nodiscard]] PipeEnds ends() const { return {in_.read_end.get(), out_.write_end.get(), err_.write_end.get()}; }

    /// It has been started, and reads this message and `end` behind it. What does not fit into the
    /// pipe waits here.
    void begin_input(std::string_view message, std::string_view end);
    void feed_input();
    /// Takes one piece of its output. False: there was none.
    [[nodiscard]] bool take_output();
    /// The same, and forgets it.
    [[nodiscard]] bool drop_output();
    [[nodiscard]] bool take_errors(const StderrDigest::Emit& emit);
    /// No process is left: what they wrote is in the pipes, and nobody is waited for to close them.
    void take_last_errors(const StderrDigest::Emit& emit);

    /// More than `most` bytes; the newline at the end of a result is not part of it, so it does not
    /// count either.
    [[nodiscard]] bool is_over(std::size_t most) const;
    void forget_output() { output_ = std::string(); }
    [[nodiscard]] const std::string& output() const { return output_; }
    [[nodiscard]] const std::string& last_error() const { return digest_.last_line(); }
    [[nodiscard]] const StderrDigest& digest() const { return digest_; }

    /// For the loop.
    [[nodiscard]] PipeEnds waits_for() const { return {in_.write_end.get(), out_.read_end.get(), err_.read_end.get()}; }

private:
    Pipe in_, out_, err_;
    std::string input_;  // what is not written yet
    std::size_t written_ = 0;
    std::string output_;
    StderrDigest digest_;
};

}  // namespace curfew
