#include "common/amqp/lookup.h"

#include <fmt/format.h>
#include <netdb.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <chrono>
#include <map>
#include <mutex>
#include <system_error>

#include "common/amqp/connection.h"
#include "common/process/quiet_thread.h"

namespace curfew::amqp {
namespace {

using SystemClock = std::chrono::steady_clock;

/// An answer to an older question may no longer be true.
constexpr auto kLongest = std::chrono::minutes(1);

/// Of each host: the one whose end was not seen.
struct Lookups {
    std::mutex mutex;
    std::map<std::string, std::shared_ptr<Lookup>> of;
};

Lookups& lookups() {
    static Lookups all;
    return all;
}

}  // namespace

std::shared_ptr<const Lookup> Lookup::of(const Address::Host& host) {
    auto& [mutex, of_host] = lookups();
    const std::lock_guard lock(mutex);
    std::shared_ptr<Lookup>& lookup = of_host[host.text()];
    if (lookup != nullptr && lookup->is_of_use()) return lookup;
    lookup = std::make_shared<Lookup>(host);
    try {
        quiet_thread([lookup] { lookup->run(); }).detach();
    } catch (const std::system_error& error) {
        of_host.erase(host.text());
        throw Lost(fmt::format("{}: it cannot be looked up: {}", host.text(), error.what()));
    }
    return lookup;
}

void Lookup::done_with(const Address::Host& host) {
    auto& [mutex, of_host] = lookups();
    const std::lock_guard lock(mutex);
    of_host.erase(host.text());
}

Lookup::Lookup(const Address::Host& host)
    : name_(host.name),
      port_(std::to_string(host.port)),
      over_(eventfd(0, EFD_CLOEXEC)),
      began_at_(SystemClock::now()) {
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

bool Lookup::is_of_use() const {
    pollfd watched{over_, POLLIN, 0};
    const bool is_over = poll(&watched, 1, 0) > 0;
    return !is_over || SystemClock::now() < began_at_ + kLongest;
}

}  // namespace curfew::amqp
