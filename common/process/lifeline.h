// The line to launch, a socket pair: launch's words come by it, and its end is launch's end. A
// process without one has nobody to obey but its signals. One thread, but for what says otherwise.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace curfew {

class Lifeline {
public:
    /// Takes the descriptor over. Throws std::invalid_argument where it is none that is open.
    void hold(int descriptor);

    [[nodiscard]] bool is_there() const { return descriptor_ >= 0; }
    [[nodiscard]] int descriptor() const { return descriptor_; }
    /// The number of its end of the pipe, which launch knows; 0: there is none.
    [[nodiscard]] std::uint64_t number() const;

    /// The lines that have come; afterwards is_there() says whether it has closed.
    [[nodiscard]] std::vector<std::string> read();
    // What read() would find, of which nothing is taken; from any thread, while none reads.
    /// A `stop` (in the first 64 KiB), or its end.
    [[nodiscard]] bool stop_waits() const;
    [[nodiscard]] bool has_ended() const;
    /// Asks launch to drain the group. False where nobody is there to be asked: launch is gone (the
    /// kernel then sends TERM, which launch has asked for), or what was given is a pipe. A buffer
    /// that is full of such wishes counts as asked.
    [[nodiscard]] bool ask_to_drain() const;

private:
    int descriptor_ = -1;
    std::string buffer_;
};

}  // namespace curfew
