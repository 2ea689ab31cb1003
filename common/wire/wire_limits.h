// How large frames are, and what stands in them: one place, so that no sender makes what a receiver
// refuses.
//
// A frame is closed when it has kFrameBytes, behind whole records; so the largest has one record of
// the largest size behind a frame that was not full yet. What a record may hold is bounded where it
// is made: messages by --max-message, results by --max-output, both at most kPayloadBytes; what was
// said of a failure by kErrorBytes; the largest list, that of a sync, by the window.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace curfew::wire {

/// Large enough to be cheap, small enough not to hold up what comes behind.
inline constexpr std::size_t kFrameBytes = 256 * 1024;

/// A message or a result.
inline constexpr std::uint64_t kPayloadBytes = 64ULL << 20;

/// Why an attempt failed.
inline constexpr std::size_t kErrorBytes = 4096;

/// Reports in a frame: each has a byte and more.
inline constexpr std::size_t kMostReports = kFrameBytes;

/// Intervals in the lists of a token report, in 20 bytes at most: a worker's credit is bounded.
inline constexpr std::size_t kMostHeld = 4'000'000;

/// Tasks in flight: a sync has an interval and a winner for each, in 45 bytes at most.
inline constexpr std::uint64_t kMostWindow = 4'000'000;

/// Receivers close a connection that sends a larger one.
inline constexpr std::int64_t kLargestFrame = 256LL << 20;
static_assert(2 * kPayloadBytes + kFrameBytes < static_cast<std::uint64_t>(kLargestFrame));
static_assert(20 * kMostHeld + 2 * kFrameBytes < static_cast<std::uint64_t>(kLargestFrame));
static_assert(45 * kMostWindow + kFrameBytes < static_cast<std::uint64_t>(kLargestFrame));

/// Cuts what was said of a failure, at a character where it is UTF-8.
inline void cut_error(std::string& error) {
    if (error.size() <= kErrorBytes) return;
    std::size_t size = kErrorBytes - 3;
    while (size > kErrorBytes - 8 && (static_cast<unsigned char>(error[size]) & 0xc0U) == 0x80) --size;
    error.resize(size);
    error += "...";
}

}  // namespace curfew::wire
