// Of many requests that begin at once one looks the name of their service up, and the others wait
// for it: libcurl would start a thread for each. It keeps a name for 60 s, and knows nothing of
// what others look up meanwhile. Pure.
#pragma once

#include <optional>

#include "common/words/vocabulary.h"
#include "worker/handlers/handler.h"

namespace curfew {

class NameLookup {
public:
    /// `needed`: false where there is no name to look up.
    explicit NameLookup(bool needed) : needed_(needed) {}

    /// Whether the request in this slot may begin: the name is known, or it is the one that looks
    /// it up.
    [[nodiscard]] bool lets_begin(Instant now, Slot slot) {
        if (!needed_ || now < known_until_) return true;
        if (finder_) return false;
        finder_ = slot;
        return true;
    }
    /// One looks it up now.
    [[nodiscard]] bool is_under_way() const { return finder_.has_value(); }
    /// It has got beyond its name.
    void found(Instant now) {
        if (!finder_) return;
        finder_.reset();
        known_until_ = now + kKept;
    }
    /// The request in this slot is over. True: it was the one, and nothing is known yet.
    bool ended(Slot slot) {
        if (finder_ != slot) return false;
        finder_.reset();
        return true;
    }

private:
    static constexpr Duration kKept = std::chrono::seconds(50);

    const bool needed_;
    std::optional<Slot> finder_;
    Instant known_until_{};
};

}  // namespace curfew
