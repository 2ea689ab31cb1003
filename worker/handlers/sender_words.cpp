#include "worker/handlers/sender_words.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string_view>

#include "common/wire/message_properties.h"

namespace curfew {
namespace {

bool is_alnum(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

char lower(char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
}

std::string capitals(std::string_view name) {
    std::string out;
    for (const char c : name) out += !is_alnum(c) ? '_' : c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c;
    return out;
}

/// As RFC 9110 has names of fields.
bool is_field_name(std::string_view name) {
    static constexpr std::string_view kOthers = "!#$%&'*+-.^_`|~";
    return !name.empty() &&
           std::ranges::all_of(name, [](char c) { return is_alnum(c) || kOthers.find(c) != std::string_view::npos; });
}

/// Of a connection, or what proves who asks: not for who sends a message to say.
bool is_kept(std::string_view name) {
    constexpr std::array<std::string_view, 11> kKept{"content-length",
                                                     "transfer-encoding",
                                                     "connection",
                                                     "keep-alive",
                                                     "upgrade",
                                                     "host",
                                                     "authorization",
                                                     "cookie",
                                                     "te",
                                                     "expect",
                                                     "proxy-authorization"};
    std::string small(name);
    std::ranges::transform(small, small.begin(), lower);
    return std::ranges::find(kKept, small) != kKept.end();
}

}  // namespace

std::string variables_of(const Work& work) {
    std::string out;
    const auto add = [&out](std::string_view name, std::string_view value) {
        if (value.empty() || value.find('\0') != std::string_view::npos) return;
        out.append(name).append("=").append(value).push_back('\0');
    };
    add("CURFEW_MESSAGE_ID", work.message_id);
    if (work.properties.empty()) return out;
    const auto said = wire::unpack_properties(work.properties).value_or(wire::MessageProperties{});
    add("CURFEW_CORRELATION_ID", said.correlation_id);
    add("CURFEW_CONTENT_TYPE", said.content_type);
    for (const auto& [name, value] : said.headers) add("CURFEW_HEADER_" + capitals(name), value);
    return out;
}

std::vector<std::string> header_lines_of(const Work& work) {
    std::vector<std::string> lines;
    const auto said = wire::unpack_properties(work.properties).value_or(wire::MessageProperties{});
    const auto add = [&lines](std::string_view name, std::string_view value) {
        const bool is_line = value.find_first_of(std::string_view("\r\n\0", 3)) == std::string_view::npos;
        if (!value.empty() && is_line && is_field_name(name) && !is_kept(name))
            lines.push_back(fmt::format("{}: {}", name, value));
    };
    add("Content-Type", said.content_type);
    add("X-Correlation-ID", said.correlation_id);
    for (const auto& [name, value] : said.headers) add(name, value);
    return lines;
}

}  // namespace curfew
