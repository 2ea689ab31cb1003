#include "common/process/poller.h"

#include <algorithm>
#include <cerrno>
#include <system_error>

#include "common/process/clock.h"

namespace curfew {

void Poller::clear() {
    items_.clear();
    sockets_.clear();
}

void Poller::add(Socket& socket) {
    items_.push_back({socket.news_descriptor(), POLLIN, 0});
    sockets_.push_back(&socket);
}

void Poller::add(int descriptor, short events) {
    items_.push_back({descriptor, events, 0});
    sockets_.push_back(nullptr);
}

void Poller::wait(Instant until) {
    const bool unread = std::ranges::any_of(sockets_, [](const Socket* s) { return s != nullptr && s->unread(); });
    Duration length = Duration::zero();
    if (const Instant now = Clock::now(); !unread && until > now) {
        constexpr Duration kLongest = std::chrono::hours(1);
        length = until == kNever ? kLongest : std::min<Duration>(until - now, kLongest);
    }
    const auto ns = std::chrono::duration_cast<std::chrono::nanoseconds>(length).count();
    const timespec limit{ns / 1'000'000'000, ns % 1'000'000'000};
    if (ppoll(items_.data(), items_.size(), &limit, nullptr) < 0) {
        if (errno != EINTR) throw std::system_error(errno, std::generic_category(), "poll");
        for (pollfd& item : items_) item.revents = 0;
    }
    for (std::size_t at = 0; at < items_.size(); ++at) {
        if (sockets_[at] != nullptr && items_[at].revents != 0) sockets_[at]->wake();
    }
}

}  // namespace curfew
