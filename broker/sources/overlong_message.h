// The message over the limit that is being refused. It is counted as soon as it is known to be over
// the limit; then it is skipped part by part, and at its end what is told of it is known: where it
// stood, its size, and its first bytes. Pure.
//
//     none --the first part--> begun --another part--> begun --its end--> none
//
// Memory: its first bytes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <utility>

#include "broker/refused_message.h"

namespace curfew {

class OverlongMessage {
public:
    explicit OverlongMessage(std::size_t limit) : limit_(limit) {}

    /// Whether what comes next, and has so many bytes so far, is over the limit or the rest of what
    /// is.
    [[nodiscard]] bool refuses(std::size_t bytes) const { return has_begun() || bytes > limit_; }
    [[nodiscard]] bool has_begun() const { return message_.has_value(); }
    /// How much of it was skipped.
    [[nodiscard]] std::uint64_t skipped() const { return message_ ? message_->size : 0; }
    /// How many there were, the one that has begun among them.
    [[nodiscard]] std::uint64_t count() const { return count_; }

    /// Skips a part: of the next message, which is this one of its source and stands there, or of
    /// the one that has begun.
    void skip(std::string_view part, std::uint64_t number, std::uint64_t byte) {
        if (!message_) {
            ++count_;
            message_ = {.number = number, .byte = byte};
        }
        message_->first += part.substr(0, RefusedMessage::kFirstBytes - message_->first.size());
        message_->size += part.size();
    }
    /// What was skipped last was its end.
    [[nodiscard]] RefusedMessage end() { return *std::exchange(message_, std::nullopt); }

private:
    std::size_t limit_;
    std::optional<RefusedMessage> message_;  // none: no message has begun that is refused
    std::uint64_t count_ = 0;
};

}  // namespace curfew
