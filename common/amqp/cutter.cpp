#include "common/amqp/cutter.h"

#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <system_error>
#include <utility>

namespace curfew::amqp {

Cutter::Cutter() : event_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
    if (event_ < 0) throw std::system_error(errno, std::generic_category(), "eventfd");
}

Cutter::~Cutter() {
    let_go();
    ::close(event_);
}

bool Cutter::hold(int socket) noexcept {
    const std::lock_guard lock(mutex_);
    if (held_ < 0) held_ = ::fcntl(socket, F_DUPFD_CLOEXEC, 0);
    if (held_ >= 0 && is_cut_) ::shutdown(held_, SHUT_RDWR);
    return held_ >= 0;
}

void Cutter::let_go() noexcept {
    const std::lock_guard lock(mutex_);
    if (held_ >= 0) ::close(std::exchange(held_, -1));
}

void Cutter::cut() {
    const std::lock_guard lock(mutex_);
    is_cut_ = true;
    if (held_ >= 0) ::shutdown(held_, SHUT_RDWR);
    const std::uint64_t one = 1;
    (void)!::write(event_, &one, sizeof one);
}

bool Cutter::is_cut() const {
    const std::lock_guard lock(mutex_);
    return is_cut_;
}

}  // namespace curfew::amqp
