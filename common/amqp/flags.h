// The flags of a place at a queue server, which source and sink share.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "common/amqp/connection.h"
#include "common/process/daemon.h"
#include "common/process/options.h"

namespace curfew::amqp {

struct Flags {
    std::string password_file, ca, certificate, key;
    std::string group_name;  ///< empty: the machine's
    bool declare = false;    ///< queues that are missing are made

    void add(Options& options);
    /// What the group is called among those that share queues.
    [[nodiscard]] std::string group() const;
    /// By which who looks at the server knows a process: "curfew GROUP NAME source".
    [[nodiscard]] std::string connection_name(const Daemon& daemon, std::string_view role) const;
    /// How to get in; `name`: of the connection. The password is that of the file, of
    /// CURFEW_AMQP_PASSWORD, or, for guest, guest. Throws Unusable.
    [[nodiscard]] Access access(const Address& address, const std::string& name) const;
};

/// parse_address, whose complaint begins with the flag.
[[nodiscard]] Address address_of(std::string_view flag, bool tls, const std::string& rest,
                                 std::span<const std::string_view> known);

}  // namespace curfew::amqp
