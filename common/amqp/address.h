// Where a queue server is, as a flag has it:
//
//     amqp://USER@HOST[:PORT][,HOST...]/VHOST?queue=NAME
//
// as RabbitMQ's URI scheme has it, with several hosts, of which any will do. No password: a command
// line can be read by everybody on the machine. Pure.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace curfew::amqp {

struct Address {
    struct Host {
        std::string name;
        std::uint16_t port = 0;
        [[nodiscard]] std::string text() const;
    };
    bool tls = false;
    std::string user = "guest";
    std::vector<Host> hosts{};  ///< one at least
    std::string vhost = "/";
    /// What stands behind the '?', decoded.
    std::map<std::string, std::string, std::less<>> parameters{};

    /// Of a parameter; empty where it is missing.
    [[nodiscard]] std::string parameter(std::string_view name) const;
    /// For people and the log: "amqp://user@host:5672,host2:5672/vhost".
    [[nodiscard]] std::string text() const;
};

/// `rest`: what stands behind "amqp:" or "amqps:". `known`: names of parameters. Throws
/// std::invalid_argument, which says what is wrong and what would be right; never the password.
[[nodiscard]] Address parse_address(bool tls, std::string_view rest, std::span<const std::string_view> known);

}  // namespace curfew::amqp
