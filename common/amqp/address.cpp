#include "common/amqp/address.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <optional>
#include <stdexcept>

namespace curfew::amqp {
namespace {

constexpr std::uint16_t kPort = 5672, kTlsPort = 5671;

[[noreturn]] void refuse(const std::string& why) {
    throw std::invalid_argument(why);
}

int hex(char digit) {
    if (digit >= '0' && digit <= '9') return digit - '0';
    const char lower = static_cast<char>(digit | 0x20);
    return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

std::string decoded(std::string_view text) {
    std::string out;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] != '%') {
            out += text[i];
            continue;
        }
        const int high = i + 2 < text.size() ? hex(text[i + 1]) : -1;
        const int low = i + 2 < text.size() ? hex(text[i + 2]) : -1;
        if (high < 0 || low < 0) refuse(fmt::format("'{}': a '%' has two hexadecimal digits behind it", text));
        out += static_cast<char>(high * 16 + low);
        i += 2;
    }
    return out;
}

std::string_view take_until(std::string_view& text, char end) {
    const std::size_t at = text.find(end);
    const std::string_view part = text.substr(0, at);
    text = at == std::string_view::npos ? std::string_view() : text.substr(at + 1);
    return part;
}

Address::Host host_of(std::string_view text, std::uint16_t usual) {
    Address::Host host{.name = std::string(text), .port = usual};
    // [::1]:5672
    const bool brackets = text.starts_with('[');
    const std::size_t colon = brackets ? text.find("]:") : text.rfind(':');
    const std::string_view port =
        colon == std::string_view::npos ? std::string_view() : text.substr(colon + (brackets ? 2 : 1));
    if (colon != std::string_view::npos) host.name = text.substr(0, colon + (brackets ? 1 : 0));
    if (brackets && host.name.ends_with(']')) host.name = host.name.substr(1, host.name.size() - 2);
    if (host.name.empty()) refuse("a host is missing: amqp://HOST[:PORT][,HOST...]/VHOST?...");
    if (colon == std::string_view::npos) return host;
    const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), host.port);
    if (error != std::errc() || end != port.data() + port.size() || host.port == 0)
        refuse(fmt::format("'{}' is no port", port));
    return host;
}

void take_parameters(Address& address, std::string_view query, std::span<const std::string_view> known) {
    while (!query.empty()) {
        std::string_view value = take_until(query, '&');
        const std::string name = decoded(take_until(value, '='));
        if (std::ranges::find(known, name) == known.end())
            refuse(fmt::format("'{}' is not known behind the '?': there is {}", name, fmt::join(known, ", ")));
        if (!address.parameters.emplace(name, decoded(value)).second)
            refuse(fmt::format("'{}' is said twice behind the '?'", name));
    }
}

}  // namespace

std::string Address::Host::text() const {
    return name.find(':') == std::string::npos ? fmt::format("{}:{}", name, port) : fmt::format("[{}]:{}", name, port);
}

std::string Address::parameter(std::string_view name) const {
    const auto at = parameters.find(name);
    return at == parameters.end() ? std::string() : at->second;
}

std::string Address::text() const {
    std::vector<std::string> names;
    for (const Host& host : hosts) names.push_back(host.text());
    return fmt::format("amqp{}://{}@{}/{}", tls ? "s" : "", user, fmt::join(names, ","), vhost == "/" ? "" : vhost);
}

Address parse_address(bool tls, std::string_view rest, std::span<const std::string_view> known) {
    Address address{.tls = tls};
    if (!rest.starts_with("//")) refuse("two slashes stand behind the scheme: amqp://HOST/VHOST?...");
    rest.remove_prefix(2);
    std::string_view path = take_until(rest, '?');  // leaves the query in `rest`
    std::string_view authority = take_until(path, '/');
    if (const std::size_t at = authority.rfind('@'); at != std::string_view::npos) {
        const std::string_view user = authority.substr(0, at);
        authority.remove_prefix(at + 1);
        if (user.find(':') != std::string_view::npos)
            refuse(
                "a password does not belong on a command line, which others can read: --password-file FILE, or "
                "CURFEW_AMQP_PASSWORD in the environment");
        address.user = decoded(user);
    }
    do address.hosts.push_back(host_of(take_until(authority, ','), tls ? kTlsPort : kPort));
    while (!authority.empty());
    if (path.find('/') != std::string_view::npos)
        refuse(fmt::format("'{}': a '/' in the name of a vhost is written %2f", path));
    if (!path.empty()) address.vhost = decoded(path);
    take_parameters(address, rest, known);
    return address;
}

}  // namespace curfew::amqp
