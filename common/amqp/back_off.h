// How long to pause before another connection: twice as long after each that came to nothing, up to
// kLongest. One that has stood for longer than that has come to something, and the pauses begin
// anew. One that a server lets in and then ends, or refuses to use, has not. Pure.
#pragma once

#include <algorithm>
#include <chrono>
#include <utility>

#include "common/words/vocabulary.h"

namespace curfew::amqp {

class BackOff {
public:
    static constexpr Duration kShortest = std::chrono::milliseconds(100);
    static constexpr Duration kLongest = std::chrono::seconds(5);

    /// There is a connection.
    void stands(Instant now) { stands_since_ = now; }
    /// It is of use.
    void works() { next_ = kShortest; }
    /// It is gone, or there was none: the pause before the next.
    [[nodiscard]] Duration lost(Instant now) {
        const Instant since = std::exchange(stands_since_, kNever);
        if (since != kNever && now - since > kLongest) next_ = kShortest;
        return std::exchange(next_, std::min(2 * next_, kLongest));
    }

private:
    Duration next_ = kShortest;
    Instant stands_since_ = kNever;
};

}  // namespace curfew::amqp
