#include "broker/stopped_input.h"

#include <sys/epoll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdint>

namespace curfew {
namespace {

constexpr std::uint32_t kHangUp = EPOLLHUP | EPOLLERR;

std::atomic<bool> keeps = false;

}  // namespace

void keep_what_is_unread() {
    keeps = true;
}

extern "C" int epoll_ctl(int set, int change, int descriptor, epoll_event* event) noexcept {
    const bool nothing_asked = keeps && change == EPOLL_CTL_MOD && event->events == 0;
    const auto done = syscall(SYS_epoll_ctl, set, nothing_asked ? EPOLL_CTL_DEL : change, descriptor, event);
    if (done == 0 || errno != ENOENT || !keeps) return static_cast<int>(done);
    // It had left the set.
    if (nothing_asked || change == EPOLL_CTL_DEL) return 0;
    return static_cast<int>(syscall(SYS_epoll_ctl, set, EPOLL_CTL_ADD, descriptor, event));
}

/// Where something can be read or written, that is what the engine is called for: it finds the
/// hang-up itself, in its place. A call for the hang-up may come when it has stopped reading, which
/// it takes for an error: just before, in the call to read; or long ago, while it has something to
/// write.
extern "C" int epoll_wait(int set, epoll_event* events, int most, int timeout) {
    const int count = epoll_pwait(set, events, most, timeout, nullptr);
    for (int i = 0; keeps && i < count; ++i)
        if ((events[i].events & (EPOLLIN | EPOLLOUT)) != 0) events[i].events &= ~kHangUp;
    return count;
}

}  // namespace curfew
