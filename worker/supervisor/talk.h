// A talk with a program that stays: one message, one answer, in turn, by a framing that both know.
// Knows nothing of how the program is started or stopped. One thread; never blocks.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "worker/supervisor/link.h"
#include "worker/supervisor/pipes.h"
#include "worker/supervisor/stderr_digest.h"

namespace curfew {

class Talk {
public:
    explicit Talk(Framing framing, std::size_t max_answer) : framing_(framing), max_answer_(max_answer) {}

    /// False, with errno, if there are no pipes to be had.
    [[nodiscard]] bool open();
    /// What the program gets.
    [[nodiscard]] PipeEnds ends() const { return {in_.read_end.get(), out_.write_end.get(), err_.write_end.get()}; }
    /// The program has its ends, or never will: ours of them are closed.
    void begin();

    /// Writes the message in its frame; what does not fit into the pipe waits here.
    void ask(std::string_view message);
    /// The same, but only the first byte of it for now: what a program says before it has read
    /// that, it says unasked (it greets). Then release() the rest.
    void ask_first(std::string_view message);
    [[nodiscard]] bool is_held() const { return held_; }
    /// It has read all that was written.
    [[nodiscard]] bool has_read() const;
    void release();
    void feed();

    enum class Heard : std::uint8_t {
        nothing,  ///< or not all of an answer yet
        answer,   ///< see take_answer()
        over,     ///< of an answer, more bytes than it may have
        broken,   ///< what it wrote is no frame
        closed,   ///< it has closed its stdout
    };
    /// Takes one piece of what it wrote.
    [[nodiscard]] Heard listen();
    [[nodiscard]] std::string take_answer();
    /// It has written more than was asked for.
    [[nodiscard]] bool has_more() const { return !heard_.empty(); }
    /// The beginning of what it wrote, for what is said of it.
    [[nodiscard]] std::string_view heard() const { return heard_; }
    [[nodiscard]] bool take_errors(const StderrDigest::Emit& emit);
    /// The same when no process is left.
    void take_last_errors(const StderrDigest::Emit& emit);
    [[nodiscard]] const std::string& last_error() const { return digest_.last_line(); }
    [[nodiscard]] StderrDigest& digest() { return digest_; }

    /// For the loop.
    [[nodiscard]] PipeEnds waits_for() const {
        return {asked_.empty() || held_ ? -1 : in_.write_end.get(), out_.read_end.get(), err_.read_end.get()};
    }

private:
    [[nodiscard]] Heard parse();
    [[nodiscard]] Heard parse_netstring();

    Framing framing_;
    std::size_t max_answer_;
    Pipe in_, out_, err_;
    std::string asked_;  // what is not written yet
    std::size_t written_ = 0;
    bool held_ = false;  // but for its first byte
    std::string heard_;
    std::size_t searched_ = 0;  // of what was heard: there is no end of a line
    // Of the answer, once it is whole, and what is behind it
    std::size_t begin_ = 0, size_ = 0, next_ = 0;
    StderrDigest digest_;
};

}  // namespace curfew
