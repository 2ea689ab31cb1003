// Log lines: one an event, a fixed event name, then key=value; on stderr. stdout belongs to results.
//
// Severities: error (this process gives something up), warn (somebody should look, it goes on), info (life: sessions
// come and go), debug (each record). The default is warn: a batch is silent when all is well. Single-threaded use.
#pragma once

#include <fmt/format.h>

#include <optional>
#include <string>
#include <string_view>

#include "common/vocabulary.h"

namespace curfew::log {

enum class Level { debug, info, warn, error };

/// False if the word is no level.
bool set_level(std::string_view word);
void set_name(std::string_view name);  ///< of the process, in every line
void write(Level level, std::string_view line);
[[nodiscard]] bool wanted(Level level);

/// A value that may hold anything: quoted and escaped where it is not a plain word, cut at `most` bytes.
[[nodiscard]] std::string quoted(std::string_view value, std::size_t most = 300);

template <typename... Args>
void debug(fmt::format_string<Args...> format, Args&&... args) {
    if (wanted(Level::debug)) write(Level::debug, fmt::format(format, std::forward<Args>(args)...));
}
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

}  // namespace curfew::log
