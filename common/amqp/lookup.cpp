#include "common/amqp/lookup.h"

#include <fmt/format.h>
#include <netdb.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <map>
#include <mutex>
#include <system_error>

#include "common/amqp/connection.h"
#include "common/process/quiet_thread.h"

namespace curfew::amqp {

std::shared_ptr<const Lookup> Lookup::of(const Address::Host& host) {
    static std::mutex mutex;
    static std::map<std::string, std::shared_ptr<Lookup>> last;  // of each host
    const std::lock_guard lock(mutex);
    std::shared_ptr<Lookup>& lookup = last[host.text()];
    if (lookup != nullptr && !lookup->is_over()) return lookup;
    lookup = std::make_shared<Lookup>(host);
    try {
        quiet_thread([lookup] { lookup->run(); }).detach();
    } catch (const std::system_error& error) {
        last.erase(host.text());
        throw Lost(fmt::format("{}: it cannot be looked up: {}", host.text(), error.what()));
    }
    return lookup;
}

Lookup::Lookup(const Address::Host& host)
    : name_(host.name), port_(std::to_string(host.port)), over_(eventfd(0, EFD_CLOEXEC)) {
    if (over_ < 0) throw Lost(fmt::format("{}: there are too few descriptors (ulimit -n)", host.text()));
}

Lookup::~Lookup() {
    if (found_ != nullptr) freeaddrinfo(found_);
    ::close(over_);
}

void Lookup::run() {
    addrinfo hints{};
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = AI_NUMERICSERV;
    error_ = getaddrinfo(name_.c_str(), port_.c_str(), &hints, &found_);
    eventfd_write(over_, 1);
}

bool Lookup::is_over() const {
    pollfd watched{over_, POLLIN, 0};
    return poll(&watched, 1, 0) > 0;
}

}  // namespace curfew::amqp
