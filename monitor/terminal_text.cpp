#include "monitor/terminal_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cmath>
#include <numeric>

#include "monitor/fields.h"

namespace curfew {
namespace {

using nlohmann::json;

struct Decoded {
    char32_t code;  ///< 0: no UTF-8
    std::size_t bytes;
};

Decoded decode(std::string_view text) {
    const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
    const unsigned char first = byte(0);
    if (first < 0x80) return {first, 1};
    const std::size_t length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
    if (first < 0xc2 || first > 0xf4 || text.size() < length) return {0, 1};
    char32_t code = first & (0x7fU >> length);
    for (std::size_t i = 1; i < length; ++i) {
        if ((byte(i) & 0xc0U) != 0x80) return {0, 1};
        code = code << 6 | (byte(i) & 0x3fU);
    }
    const bool too_long = (length == 3 && code < 0x800) || (length == 4 && code < 0x10000);
    if (too_long || code > 0x10ffff || (code >= 0xd800 && code < 0xe000)) return {0, 1};
    return {code, length};
}

struct Range {
    char32_t first, last;
};

template <std::size_t n>
bool among(char32_t code, const std::array<Range, n>& ranges) {
    return std::ranges::any_of(ranges, [&](const Range& range) { return code >= range.first && code <= range.last; });
}

/// Control, or without a width of its own, or turning the direction of what follows.
bool is_unsafe(char32_t code) {
    constexpr std::array<Range, 11> kUnsafe = {{{0x00, 0x1f},
                                                {0x7f, 0x9f},
                                                {0xad, 0xad},
                                                {0x300, 0x36f},
                                                {0x590, 0x8ff},
                                                {0x200b, 0x200f},
                                                {0x2028, 0x202e},
                                                {0x2060, 0x206f},
                                                {0xe000, 0xf8ff},
                                                {0xfe00, 0xfe0f},
                                                {0xfeff, 0xfeff}}};
    return among(code, kUnsafe) || code >= 0xe0000;
}

bool is_wide(char32_t code) {
    constexpr std::array<Range, 8> kWide = {{{0x1100, 0x115f},
                                             {0x2e80, 0xa4cf},
                                             {0xac00, 0xd7a3},
                                             {0xf900, 0xfaff},
                                             {0xfe30, 0xfe6f},
                                             {0xff00, 0xff60},
                                             {0x1f300, 0x1faff},
                                             {0x20000, 0x3fffd}}};
    return among(code, kWide);
}

/// Four or five columns.
std::string text_of_count(double value) {
    constexpr std::array kUnits = {"", "k", "M", "G", "T"};
    if (!std::isfinite(value)) return "-";
    if (std::abs(value) < 10'000) return fmt::format("{:.0f}", value);
    std::size_t unit = 0;
    for (; std::abs(value) >= 999.5 && unit + 1 < kUnits.size(); ++unit) value /= 1000;
    return fmt::format("{:.{}f}{}", value, std::abs(value) < 99.95 ? 1 : 0, kUnits[unit]);
}

/// Five columns mostly.
std::string text_of_time(double s) {
    if (!std::isfinite(s)) return "-";
    if (s < 0) return "-" + text_of_time(-s);
    if (s == 0) return "0s";
    if (s < 0.00095) return fmt::format("{:.0f}us", s * 1e6);
    if (s < 0.00995) return fmt::format("{:.1f}ms", s * 1e3);
    if (s < 0.9995) return fmt::format("{:.0f}ms", s * 1e3);
    if (s < 59.95) return fmt::format("{:.1f}s", s);
    const auto whole = static_cast<std::int64_t>(std::min(s, 1e12));
    if (whole < 3600) return fmt::format("{}m{:02}s", whole / 60, whole % 60);
    if (whole < 86'400) return fmt::format("{}h{:02}m", whole / 3600, whole / 60 % 60);
    return fmt::format("{}d{:02}h", whole / 86'400, whole / 3600 % 24);
}

}  // namespace

// ---- text --------------------------------------------------------------------------------------

std::string plain_text(const Line& line) {
    std::string out;
    for (const Span& span : line) out += span.text;
    return out;
}

int columns_of(std::string_view text) {
    int columns = 0;
    while (!text.empty()) {
        const auto [code, bytes] = decode(text);
        columns += is_wide(code) ? 2 : 1;
        text.remove_prefix(bytes);
    }
    return columns;
}

std::string clean(std::string_view text, bool utf8) {
    std::string out;
    while (!text.empty()) {
        const auto [code, bytes] = decode(text);
        const bool fine = !is_unsafe(code) && (utf8 || code < 0x80);
        out += fine ? text.substr(0, bytes) : "?";
        text.remove_prefix(bytes);
    }
    return out;
}

std::string escaped(std::string_view text, bool utf8) {
    std::string out;
    while (!text.empty()) {
        const auto [code, bytes] = decode(text);
        const bool fine = code != '\\' && code != 0 && !is_unsafe(code) && (utf8 || code < 0x80);
        if (fine) out += text.substr(0, bytes);
        for (std::size_t i = 0; !fine && i < bytes; ++i)
            out += fmt::format("\\x{:02x}", static_cast<unsigned char>(text[i]));
        text.remove_prefix(bytes);
    }
    return out;
}

std::string cut(std::string_view text, int width) {
    std::size_t end = 0;
    int used = 0;
    while (end < text.size()) {
        const auto [code, bytes] = decode(text.substr(end));
        used += is_wide(code) ? 2 : 1;
        if (used > width) break;
        end += bytes;
    }
    return std::string(text.substr(0, end));
}

std::string word(const json& object, const char* key, bool utf8) {
    const json& value = field(object, key);
    if (value.is_null()) return "-";
    if (value.is_string()) return clean(value.get_ref<const std::string&>(), utf8);
    return clean(value.dump(-1, ' ', true, json::error_handler_t::replace), utf8);
}

std::string fitted(const std::string& text, int width, bool right) {
    const int columns = columns_of(text);
    std::string out = columns <= width ? text : cut(text, width - 1) + "~";
    const auto missing = static_cast<std::size_t>(std::max(0, width - columns_of(out)));
    return right ? std::string(missing, ' ') + out : out + std::string(missing, ' ');
}

int columns_of(const Line& line) {
    return std::accumulate(line.begin(), line.end(), 0,
                           [](int sum, const Span& span) { return sum + columns_of(span.text); });
}

void cut(Line& line, int width) {
    for (auto span = line.begin(); span != line.end(); ++span) {
        span->text = cut(span->text, width);
        width -= columns_of(span->text);
    }
}

Line without_rest(Line line, int width) {
    while (line.size() > 1 && columns_of(line) > width) line.pop_back();
    return line;
}

void append_right(Line& line, const Line& right, int width) {
    const int gap = width - columns_of(line) - columns_of(right);
    if (gap > 0) line.push_back({std::string(static_cast<std::size_t>(gap), ' ')});
    if (gap < 0) cut(line, std::max(0, width - columns_of(right)));
    line.insert(line.end(), right.begin(), right.end());
}

// ---- figures -----------------------------------------------------------------------------------

Span verdict(const std::string& name, const json& said, const char* well, const char* ill) {
    if (!said.is_boolean()) return {name + " ?", Style::dim};
    return said == true ? Span{name + " " + well, Style::good} : Span{name + " " + ill, Style::bad};
}

std::string many(std::uint64_t count, std::string_view noun) {
    return fmt::format("{} {}{}", count, noun, count == 1 ? "" : "s");
}

std::string short_count(std::optional<double> value) {
    return value ? text_of_count(*value) : "-";
}

std::string rate(std::optional<double> value) {
    if (!value) return "-";
    return *value > 0 && *value < 10 ? fmt::format("{:.1f}", *value) : short_count(*value);
}

double seconds(Duration duration) {
    return std::chrono::duration<double>(duration).count();
}

std::string short_time(std::optional<double> s) {
    return s ? text_of_time(*s) : "-";
}

std::string us(const json& histogram, const char* key) {
    const auto value = real(histogram, key);
    if (!value || count(histogram, "count") == 0) return "-";
    return short_time(*value / 1e6);
}

bool before(const std::string& a, const std::string& b) {
    std::size_t i = 0;
    while (i < a.size() && i < b.size() && a[i] == b[i]) ++i;
    while (i > 0 && std::isdigit(static_cast<unsigned char>(a[i - 1])) != 0) --i;
    const auto digits = [&](const std::string& text) {
        std::size_t end = i;
        while (end < text.size() && std::isdigit(static_cast<unsigned char>(text[end])) != 0) ++end;
        return text.substr(i, end - i);
    };
    const std::string left = digits(a), right = digits(b);
    if (!left.empty() && !right.empty() && left.size() != right.size()) return left.size() < right.size();
    return a < b;
}

std::string lower(std::string text) {
    std::ranges::transform(text, text.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    return text;
}

}  // namespace curfew
