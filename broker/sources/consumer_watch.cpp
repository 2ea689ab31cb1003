#include "broker/sources/consumer_watch.h"

#include <utility>

namespace curfew {

void ConsumerWatch::consumes(std::uint16_t prefetch) {
    prefetch_ = prefetch;
    waits_ = false;
}

void ConsumerWatch::came(std::uint64_t tag) {
    held_.insert(tag);
    waits_ = false;
}

void ConsumerWatch::acknowledged(const Deliveries::Ack& ack) {
    if (ack.multiple)
        held_.erase(held_.begin(), held_.upper_bound(ack.tag));
    else
        held_.erase(ack.tag);
}

bool ConsumerWatch::looked(std::uint64_t depth) {
    const bool has_room = held_.size() < prefetch_;
    return std::exchange(waits_, depth > 0 && has_room) && waits_;
}

}  // namespace curfew
