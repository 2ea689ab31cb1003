#include "broker/hearsay.h"

#include <arpa/inet.h>
#include <sys/un.h>

#include <algorithm>
#include <charconv>
#include <string>

#include "common/words/limits.h"

namespace curfew {
namespace {

bool is_port(std::string_view text) {
    std::uint16_t port = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
    return error == std::errc() && end == text.data() + text.size() && port != 0;
}

bool is_address(int family, std::string_view text) {
    in6_addr parsed{};  // the larger of the two
    return inet_pton(family, std::string(text).c_str(), &parsed) == 1;
}

/// 127.0.0.1:1234, [::1]:1234 or [fe80::1%eth0]:1234
bool is_tcp(std::string_view text) {
    const std::size_t colon = text.rfind(':');
    if (colon == std::string_view::npos || !is_port(text.substr(colon + 1))) return false;
    std::string_view host = text.substr(0, colon);
    if (!host.starts_with('[')) return is_address(AF_INET, host);
    if (!host.ends_with(']')) return false;
    host = host.substr(1, host.size() - 2);
    return is_address(AF_INET6, host.substr(0, host.find('%')));
}

}  // namespace

bool is_bound_endpoint(std::string_view text) {
    if (text.size() > limits::kEndpointBytes || !limits::printable(text)) return false;
    if (text.starts_with("tcp://")) return is_tcp(text.substr(6));
    if (!text.starts_with("ipc://")) return false;
    const std::string_view path = text.substr(6);
    return !path.empty() && path != "*" && path != "@" && path.size() < sizeof(sockaddr_un::sun_path);
}

std::string_view wrong_with(const wire::Hello& hello) {
    if (!limits::is_name(hello.name)) return "name: 1 to 64 printable bytes without a slash";
    if (!limits::is_pool(hello.pool)) return "pool: at most 64 printable bytes";
    if (hello.slots > limits::kSlots) return "slots: at most 16384";
    if (hello.credit > limits::kCredit) return "credit: at most 1000000";
    if (!is_bound_endpoint(hello.tasks)) return "tasks: ipc://PATH or tcp://ADDRESS:PORT, the address in numbers";
    if (!is_bound_endpoint(hello.control)) return "control: ipc://PATH or tcp://ADDRESS:PORT, the address in numbers";
    return {};
}

std::string_view wrong_with(const wire::Heartbeat& heartbeat) {
    return heartbeat.credit > limits::kCredit ? "credit: at most 1000000" : std::string_view();
}

}  // namespace curfew
