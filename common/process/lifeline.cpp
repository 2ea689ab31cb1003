#include "common/process/lifeline.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <stdexcept>
#include <string_view>
#include <utility>

namespace curfew {
namespace {

constexpr std::size_t kAhead = 65'536;  // bytes that are looked at and stay

}  // namespace

void Lifeline::hold(int descriptor) {
    if (fcntl(descriptor, F_SETFD, FD_CLOEXEC) != 0 || fcntl(descriptor, F_SETFL, O_NONBLOCK) != 0)
        throw std::invalid_argument(fmt::format("--lifeline: descriptor {} is not open", descriptor));
    descriptor_ = descriptor;
}

std::uint64_t Lifeline::number() const {
    struct stat line {};
    const bool is_one =
        is_there() && fstat(descriptor_, &line) == 0 && (S_ISSOCK(line.st_mode) || S_ISFIFO(line.st_mode));
    return is_one ? line.st_ino : 0;
}

std::vector<std::string> Lifeline::read() {
    char chunk[4096];
    ssize_t size = 0;
    while ((size = ::read(descriptor_, chunk, sizeof chunk)) > 0) buffer_.append(chunk, static_cast<std::size_t>(size));
    // reset: our last word was not read
    const bool closed = size == 0 || (errno != EAGAIN && errno != EINTR);
    std::vector<std::string> lines;
    for (std::size_t end = 0; (end = buffer_.find('\n')) != std::string::npos; buffer_.erase(0, end + 1))
        lines.push_back(buffer_.substr(0, end));
    if (closed) close(std::exchange(descriptor_, -1));
    return lines;
}

bool Lifeline::stop_waits() const {
    if (has_ended()) return true;
    std::string said = "\n" + std::string(kAhead, '\0');
    const ssize_t size = recv(descriptor_, said.data() + 1, kAhead, MSG_PEEK | MSG_DONTWAIT);
    if (size <= 0) return false;  // also of a pipe
    said.resize(1 + static_cast<std::size_t>(size));
    return said.find("\nstop\n") != std::string::npos;
}

bool Lifeline::has_ended() const {
    pollfd watched{descriptor_, POLLRDHUP, 0};
    return poll(&watched, 1, 0) > 0;
}

bool Lifeline::ask_to_drain() const {
    constexpr std::string_view kWish = "drain\n";
    return send(descriptor_, kWish.data(), kWish.size(), MSG_DONTWAIT | MSG_NOSIGNAL) >= 0 || errno == EAGAIN;
}

}  // namespace curfew
