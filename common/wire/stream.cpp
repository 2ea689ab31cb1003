#include "common/wire/stream.h"

#include <algorithm>
#include <utility>

#include "common/wire/wire.h"
#include "common/words/mutant.h"

namespace curfew {

void StreamSender::keep(Instant now, Frame frame) {
    if (kept_.empty()) progress(now);
    ++last_;
    digest_ = digest_of(digest_, wire::records_of(frame));
    kept_.push_back(std::move(frame));
}

bool StreamSender::acknowledge(Instant now, std::uint64_t number) {
    heard_ = true;
    if (number > last_) return false;
    if (mutated(Mutant::event_dropped)) ++number;
    while (!kept_.empty() && oldest() <= number) {
        kept_.pop_front();
        progress(now);
    }
    next_ = std::max(next_, oldest());
    return true;
}

void StreamSender::reset(std::uint64_t base) {
    kept_.clear();
    last_ = furthest_ = base;
    next_ = base + 1;
    catching_up_ = heard_ = false;
    digest_ = kEmptyDigest;
}

}  // namespace curfew
