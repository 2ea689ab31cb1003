#include "common/process/early_stop.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <optional>
#include <system_error>
#include <utility>

#include "common/process/clock.h"
#include "common/process/quiet_thread.h"

namespace curfew {
namespace {

/// Words of launch that are no stop stay in the lifeline, and a wait for it would return at once
/// for ever. So it is looked at now and then.
constexpr int kLookMs = 50;

}  // namespace

EarlyStop::EarlyStop(const Orders& orders, Duration grace, std::function<void()> end)
    : orders_(orders), grace_(grace), end_(std::move(end)), set_up_(eventfd(0, EFD_CLOEXEC)) {
    if (set_up_ < 0) throw std::system_error(errno, std::generic_category(), "eventfd");
    thread_ = quiet_thread([this] { watch(); });
}

EarlyStop::~EarlyStop() {
    eventfd_write(set_up_, 1);
    thread_.join();
    ::close(set_up_);
}

void EarlyStop::watch() const {
    std::optional<Instant> stop_at;
    for (pollfd watched{set_up_, POLLIN, 0}; ::poll(&watched, 1, kLookMs) <= 0;) {
        if (!stop_at && orders_.stop_waits()) stop_at = Clock::now() + grace_;
        if (stop_at && Clock::now() >= *stop_at) end_();
    }
}

}  // namespace curfew
