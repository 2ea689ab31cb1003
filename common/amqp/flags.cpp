#include "common/amqp/flags.h"

#include <fmt/format.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <optional>
#include <stdexcept>

#include "common/process/self.h"
#include "common/words/exit_code.h"
#include "common/words/limits.h"

namespace curfew::amqp {
namespace {

constexpr const char* kPassword = "CURFEW_AMQP_PASSWORD";

/// The first line: an editor ends it with a newline.
std::string read_password(const std::string& path) {
    std::ifstream file(path);
    std::string line;
    if (!file.is_open())
        throw Unusable(kExitUsage, fmt::format("--password-file: '{}' cannot be read: {}", path, std::strerror(errno)));
    if (!std::getline(file, line) || line.empty())
        throw Unusable(kExitUsage, fmt::format("--password-file: no password in the first line of '{}'", path));
    return line;
}

}  // namespace

void Flags::add(Options& options) {
    options.text("--password-file", password_file,
                 "amqp: a file with the password in its first line; else CURFEW_AMQP_PASSWORD has it");
    options.text("--ca", ca, "amqps: file with the certificates that are trusted; else those of the system are");
    options.text("--cert", certificate, "amqps: file with the certificate to show");
    options.text("--key", key, "amqps: file with its key");
    options.value(
        "--group-name", "the machine's",
        "amqp: what the group is called among those that share queues, as in the header 'group' of an outcome",
        [this](const std::string& text) -> std::optional<std::string> {
            if (text.empty() || !limits::is_pool(text))
                return "say a name of at most 255 bytes, without control characters";
            group_name = text;
            return std::nullopt;
        });
    options.flag("--declare", declare, "amqp: make the queue where there is none (a quorum queue)");
}

Access Flags::access(const Address& address, const std::string& name) const {
    Access access{.address = address, .ca = ca, .certificate = certificate, .key = key, .name = name};
    if (certificate.empty() != key.empty())
        throw Unusable(kExitUsage, "--cert and --key: a certificate and its key go together");
    const char* said = std::getenv(kPassword);
    access.password = !password_file.empty()    ? read_password(password_file)
                      : said != nullptr         ? said
                      : address.user == "guest" ? "guest"
                                                : "";
    if (access.password.empty())
        throw Unusable(kExitUsage, fmt::format("{}: no password for '{}': --password-file FILE, or {}", address.text(),
                                               address.user, kPassword));
    return access;
}

std::string Flags::group() const {
    return group_name.empty() ? host_name() : group_name;
}

std::string Flags::connection_name(const Daemon& daemon, std::string_view role) const {
    return fmt::format("curfew {} {} {}", group(), daemon.name(), role);
}

Address address_of(std::string_view flag, bool tls, const std::string& rest, std::span<const std::string_view> known) {
    try {
        return parse_address(tls, rest, known);
    } catch (const std::invalid_argument& error) {
        throw std::invalid_argument(fmt::format("{}: {}", flag, error.what()));
    }
}

}  // namespace curfew::amqp
