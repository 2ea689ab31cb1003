// What a run may say on stderr: its first lines pass, the rest is counted; the last line is
// remembered for the error, and the last bytes for who wants to read them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

namespace curfew {

class StderrDigest {
public:
    using Emit = std::function<void(std::string_view line)>;

    void take(std::string_view chunk, const Emit& emit);
    /// The run is over: what is left of a line, and the count of what did not pass.
    void finish(const Emit& emit);
    [[nodiscard]] const std::string& last_line() const { return last_line_; }

    /// What was said since the beginning, or since forget_said(): how much, and the end of it. The
    /// end begins with a whole character where it is UTF-8.
    [[nodiscard]] std::uint64_t said() const { return said_; }
    [[nodiscard]] std::string_view end() const;
    void forget_said();

private:
    void end_line(const Emit& emit);
    void keep_end(std::string_view chunk);

    std::string line_;           // the line that is being written, as far as it is kept
    std::uint64_t cut_ = 0;      // bytes of that line that are not kept
    std::size_t lines_ = 0;      // lines that passed
    std::size_t bytes_ = 0;      // bytes that passed
    std::uint64_t dropped_ = 0;  // bytes that did not
    std::string last_line_;
    std::uint64_t said_ = 0;
    std::string end_;  // of what was said: limits::kStderrBytes or more
};

}  // namespace curfew
