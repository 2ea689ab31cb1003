// Log lines: one an event, a fixed event name, then key=value; on stderr. stdout belongs to
// results.
//
// Severities: error (this process gives something up), warn (somebody should look, it goes on),
// info (its life: ready, draining, stopping). The default is warn: a batch is silent when all is
// well. Single-threaded use.
#pragma once

#include <fmt/format.h>

#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "common/words/vocabulary.h"

namespace curfew::log {

enum class Level { debug, info, warn, error };

/// False if the word is no level.
bool set_level(std::string_view word);
void set_name(std::string_view name);  ///< of the process, in every line
void write(Level level, std::string_view line);
[[nodiscard]] bool wanted(Level level);

/// A value that may hold anything: quoted and escaped where it is not a plain word, cut at `most`
/// bytes.
[[nodiscard]] std::string quoted(std::string_view value, std::size_t most = 300);

template <typename... Args>
void info(fmt::format_string<Args...> format, Args&&... args) {
    if (wanted(Level::info)) write(Level::info, fmt::format(format, std::forward<Args>(args)...));
}
template <typename... Args>
void warn(fmt::format_string<Args...> format, Args&&... args) {
    if (wanted(Level::warn)) write(Level::warn, fmt::format(format, std::forward<Args>(args)...));
}
template <typename... Args>
void error(fmt::format_string<Args...> format, Args&&... args) {
    write(Level::error, fmt::format(format, std::forward<Args>(args)...));
}

/// Lets one line through in each `every`, and counts the rest: for what peers can cause.
class Seldom {
public:
    explicit Seldom(Duration every = std::chrono::seconds(10)) : every_(every) {}
    /// True if a line may be written now.
    [[nodiscard]] bool now(Instant now) {
        if (last_ && now - *last_ < every_) return false;
        last_ = now;
        return true;
    }

private:
    Duration every_;
    std::optional<Instant> last_;
};

/// The same for a count of such things, which only grows.
class Growth {
public:
    /// By how much it has grown since it was last said; 0: nothing is to be said now.
    [[nodiscard]] std::uint64_t grown(Instant now, std::uint64_t count) {
        return count > said_ && seldom_.now(now) ? count - std::exchange(said_, count) : 0;
    }

private:
    Seldom seldom_;
    std::uint64_t said_ = 0;
};

/// What cannot be read on a socket of ours is dropped, and said once in a while.
inline void malformed(Growth& log, Instant now, std::uint64_t count) {
    if (const std::uint64_t more = log.grown(now, count))
        warn(
            "frames_dropped count={} reason=\"not of this version of curfew, or damaged: who else sends to our "
            "sockets?\"",
            more);
}

}  // namespace curfew::log
