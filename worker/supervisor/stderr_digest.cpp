#include "worker/supervisor/stderr_digest.h"

#include <algorithm>
#include <utility>

#include "common/words/limits.h"

namespace curfew {
namespace {

constexpr std::size_t kStderrLines = 64;
constexpr std::size_t kStderrBytes = 4096;
constexpr std::size_t kLastLineBytes = 200;

/// No more of the text than `limit`, and no torn UTF-8 character at its end.
std::string_view cut(std::string_view text, std::size_t limit) {
    if (text.size() <= limit) return text;
    while (limit > 0 && (static_cast<unsigned char>(text[limit]) & 0xc0U) == 0x80U) --limit;
    return text.substr(0, limit);
}

}  // namespace

void StderrDigest::take(std::string_view chunk, const Emit& emit) {
    keep_end(chunk);
    while (!chunk.empty()) {
        const std::size_t end = std::min(chunk.find('\n'), chunk.size());
        const std::size_t kept = std::min(end, kStderrBytes - line_.size());
        line_.append(chunk, 0, kept);
        cut_ += end - kept;
        if (end == chunk.size()) return;
        end_line(emit);
        chunk.remove_prefix(end + 1);
    }
}

void StderrDigest::end_line(const Emit& emit) {
    const std::size_t allowed = lines_ < kStderrLines ? kStderrBytes - bytes_ : 0;
    const std::string_view passes = cut(line_, allowed);
    if (!passes.empty()) {
        emit(passes);
        ++lines_;
        bytes_ += passes.size();
    }
    dropped_ += line_.size() - passes.size() + std::exchange(cut_, 0);
    if (!line_.empty()) last_line_ = cut(line_, kLastLineBytes);
    line_.clear();
}

void StderrDigest::keep_end(std::string_view chunk) {
    said_ += chunk.size();
    if (chunk.size() > limits::kStderrBytes) chunk.remove_prefix(chunk.size() - limits::kStderrBytes);
    // So that each byte moves once on average
    if (end_.size() + chunk.size() > 2 * limits::kStderrBytes)
        end_.erase(0, end_.size() + chunk.size() - limits::kStderrBytes);
    end_ += chunk;
}

std::string_view StderrDigest::end() const {
    constexpr std::size_t kLongestRest = 3;  // of a character
    std::string_view last = end_;
    if (last.size() > limits::kStderrBytes) last.remove_prefix(last.size() - limits::kStderrBytes);
    if (last.size() == said_) return last;
    std::size_t torn = 0;
    while (torn < std::min(kLongestRest, last.size()) && (static_cast<unsigned char>(last[torn]) & 0xc0U) == 0x80U)
        ++torn;
    return last.substr(torn);
}

void StderrDigest::forget_said() {
    said_ = 0;
    end_.clear();
}

void StderrDigest::finish(const Emit& emit) {
    if (!line_.empty()) end_line(emit);
    if (dropped_ > 0) emit("... " + std::to_string(dropped_) + " bytes more");
}

}  // namespace curfew
