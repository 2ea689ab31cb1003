#include "common/process/turned_away.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <mutex>

namespace curfew {
namespace {

std::atomic<std::uint64_t> count = 0;
std::mutex mutex;
int reserve = -1;

void open_reserve() {
    if (reserve < 0) reserve = open("/dev/null", O_RDONLY | O_CLOEXEC);
}

}  // namespace

void hold_reserve() {
    const std::lock_guard lock(mutex);
    open_reserve();
}

void turn_away(int listener) {
    const std::lock_guard lock(mutex);
    open_reserve();
    if (reserve >= 0) close(reserve);
    reserve = -1;
    const auto stranger = syscall(SYS_accept4, listener, nullptr, nullptr, SOCK_CLOEXEC);
    ++count;
    if (stranger >= 0) close(static_cast<int>(stranger));
    open_reserve();
    if (stranger < 0) poll(nullptr, 0, 1);
}

std::uint64_t turned_away() {
    return count;
}

}  // namespace curfew
