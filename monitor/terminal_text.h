// Text for a terminal: columns, not bytes; nothing that would touch the terminal; figures in few
// columns. Pure.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/words/vocabulary.h"

namespace curfew {

enum class Style : std::uint8_t { plain, bold, dim, good, warn, bad, selected };
inline constexpr int kStyles = 7;

struct Span {
    std::string text;
    Style style = Style::plain;
};
using Line = std::vector<Span>;

[[nodiscard]] std::string plain_text(const Line& line);
/// Columns of the terminal, of UTF-8.
[[nodiscard]] int columns_of(std::string_view text);
[[nodiscard]] int columns_of(const Line& line);

/// What may go to a terminal; the rest is a question mark each.
[[nodiscard]] std::string clean(std::string_view text, bool utf8);
/// The same, but what may not go, and a backslash, as the bytes that it is: \x1b.
[[nodiscard]] std::string escaped(std::string_view text, bool utf8);
/// A field as such a text; a dash where there is none.
[[nodiscard]] std::string word(const nlohmann::json& object, const char* key, bool utf8);
/// Exactly so many columns.
[[nodiscard]] std::string fitted(const std::string& text, int width, bool right);
/// The beginning, so many columns at most.
[[nodiscard]] std::string cut(std::string_view text, int width);
void cut(Line& line, int width);
/// Leaves out whole spans at the end for which there is no room.
[[nodiscard]] Line without_rest(Line line, int width);
/// Puts the last spans at the right end.
void append_right(Line& line, const Line& right, int width);

/// `name` and how it is: well, or not; a question mark where that was not said.
[[nodiscard]] Span verdict(const std::string& name, const nlohmann::json& said, const char* well, const char* ill);
/// `1 task`, `2 tasks`.
[[nodiscard]] std::string many(std::uint64_t count, std::string_view noun);
/// Four or five columns.
[[nodiscard]] std::string short_count(std::optional<double> value);
[[nodiscard]] std::string rate(std::optional<double> value);
[[nodiscard]] double seconds(Duration duration);
/// Five columns mostly.
[[nodiscard]] std::string short_time(std::optional<double> seconds);
/// Of a histogram's figure in microseconds.
[[nodiscard]] std::string us(const nlohmann::json& histogram, const char* key);

/// w2 before w10, and 9-2 before 9-10.
[[nodiscard]] bool before(const std::string& a, const std::string& b);
[[nodiscard]] std::string lower(std::string text);

}  // namespace curfew
