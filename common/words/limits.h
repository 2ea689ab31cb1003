// What a process may say of itself: bounds of names, endpoints and numbers. The flags of every
// process and what is believed of a peer's hello are checked by the same, so that no process of
// ours says what another refuses.
//
// Pure: no I/O, no clock.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace curfew::limits {

inline constexpr std::size_t kNameBytes = 64;       // of a process, of a pool
inline constexpr std::size_t kEndpointBytes = 256;  // the path of an ipc socket has at most 107
inline constexpr std::uint32_t kSlots = 16384;
inline constexpr std::uint32_t kCredit = 1'000'000;
/// Of what the work of an attempt has written to stderr, the last so much is told.
inline constexpr std::size_t kStderrBytes = 4096;
// A hello with all its names, or a heartbeat, is far smaller
inline constexpr std::size_t kLifeFrameBytes = 4096;

// Times in heartbeats. A peer says something twice in each, so what is rare on a quiet machine has
// its chances.
inline constexpr int kSilentAfter =
    3;  // a peer that has said nothing for so long is silent: its work is tried elsewhere
// Who has heard nothing for so long believes nothing of what it last heard: a worker gives up its
// session, another may take the place of the silent one
inline constexpr int kAloneAfter = 2;
inline constexpr int kSettledAfter = 1;  // what was under way at a sync has come by then

/// No control characters: it can stand in a line of a log or a terminal. Any other byte is fine, as
/// in UTF-8.
[[nodiscard]] inline bool printable(std::string_view text) {
    return std::ranges::none_of(text, [](unsigned char c) { return c < 0x20 || c == 0x7f; });
}

/// Of a process: files in the run directory are called so.
[[nodiscard]] inline bool is_name(std::string_view text) {
    return !text.empty() && text.size() <= kNameBytes && text.find('/') == std::string_view::npos && printable(text);
}

[[nodiscard]] inline bool is_pool(std::string_view text) {
    return text.size() <= kNameBytes && printable(text);
}

}  // namespace curfew::limits
