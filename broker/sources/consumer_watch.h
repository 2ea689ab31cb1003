// Whether the queue server still knows the consumer that we have there.
//
// RabbitMQ 3.10 may forget one without a word (docs/decisions.md, "A consumer that is given
// nothing"): then a queue of the same name that is made soon after gives it nothing. So where
// messages wait, we hold fewer than we may, and none has come between two looks at the queue, the
// consumer is made anew. Where the queue prefers another consumer to ours that does no harm.
//
// Memory: the tags that are not acknowledged. Pure.
#pragma once

#include <cstdint>
#include <set>

#include "broker/sources/deliveries.h"

namespace curfew {

class ConsumerWatch {
public:
    /// A new channel.
    void begin() { *this = {}; }
    /// There is a new consumer, which may hold so many; 0: there is none.
    void consumes(std::uint16_t prefetch);
    void came(std::uint64_t tag);
    void acknowledged(const Deliveries::Ack& ack);
    /// So many messages wait in the queue. True: the consumer is to be made anew.
    [[nodiscard]] bool looked(std::uint64_t depth);

private:
    std::set<std::uint64_t> held_;  // tags
    std::uint16_t prefetch_ = 0;
    bool waits_ = false;  // since the last look messages were there for us, and none has come
};

}  // namespace curfew
