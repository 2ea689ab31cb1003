// A full disk is waited for: said once, tried again twice a second, and said when it is over.
#pragma once

#include <string>

#include "common/words/vocabulary.h"

namespace curfew {

class DiskSpace {
public:
    /// `sink`: for the log.
    explicit DiskSpace(std::string sink) : sink_(std::move(sink)) {}

    /// Whether this errno of a write is a full disk, which is waited for from now on.
    [[nodiscard]] bool is_full(int error, Instant now);
    void has_taken();
    [[nodiscard]] bool waits() const { return full_; }
    [[nodiscard]] Instant retry_at() const { return retry_at_; }
    /// A write is tried now.
    void tries() { retry_at_ = kNever; }

private:
    std::string sink_;
    Instant retry_at_ = kNever;
    bool full_ = false;
};

/// Throws std::system_error, and says why as far as that is known.
[[noreturn]] void cannot_write(const std::string& sink, int error);

}  // namespace curfew
