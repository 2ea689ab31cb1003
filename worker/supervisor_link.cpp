// Framing for the link between worker and supervisor: see the header.
#include "worker/supervisor_link.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>

namespace curfew {
namespace {

constexpr std::size_t kChunk = 64 * 1024;
/// A buffer that one big record has stretched beyond this is given back when it is empty.
constexpr std::size_t kKeptCapacity = 256 * 1024;
/// More than any message or result may be: a length beyond it is damage, not data.
constexpr std::uint32_t kMaxBody = 0x7fff'ffff;

void empty(std::string& buffer, std::size_t& offset) {
    offset = 0;
    buffer.clear();
    if (buffer.capacity() > kKeptCapacity) std::string().swap(buffer);
}

}  // namespace

void OwnedDescriptor::reset(int fd) {
    if (fd_ >= 0) ::close(fd_);
    fd_ = fd;
}

void Link::queue(LinkRecordKind kind, std::uint32_t run, std::string_view a, std::string_view b, std::string_view c) {
    const std::size_t size = a.size() + b.size() + c.size();
    const Head head{.size = static_cast<std::uint32_t>(size), .kind = kind, .run = run};
    out_.reserve(out_.size() + sizeof(head) + size);
    out_.append(reinterpret_cast<const char*>(&head), sizeof(head)).append(a).append(b).append(c);
}

bool Link::flush() {
    while (wants_to_send()) {
        const ssize_t n = ::send(socket_.get(), out_.data() + sent_, out_.size() - sent_, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return errno == EAGAIN || errno == ENOBUFS || errno == ENOMEM;
        sent_ += static_cast<std::size_t>(n);
    }
    empty(out_, sent_);
    return true;
}

bool Link::fill() {
    if (taken_ == in_.size()) {
        empty(in_, taken_);
    } else if (taken_ > 0) {
        in_.erase(0, taken_);
        taken_ = 0;
    }
    std::array<char, kChunk> chunk;
    for (;;) {
        const ssize_t n = ::recv(socket_.get(), chunk.data(), chunk.size(), MSG_DONTWAIT);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return errno == EAGAIN && plausible();
        if (n == 0) return false;
        in_.append(chunk.data(), static_cast<std::size_t>(n));
        if (static_cast<std::size_t>(n) < chunk.size()) return plausible();
    }
}

bool Link::plausible() const {
    std::string_view rest = std::string_view(in_).substr(taken_);
    const std::optional<Head> head = take_front<Head>(rest);
    return !head || head->size <= kMaxBody;
}

std::optional<LinkRecord> Link::next() {
    std::string_view rest = std::string_view(in_).substr(taken_);
    const std::optional<Head> head = take_front<Head>(rest);
    if (!head || rest.size() < head->size) return std::nullopt;
    taken_ += sizeof(Head) + head->size;
    return LinkRecord{.kind = head->kind, .run = head->run, .body = rest.substr(0, head->size)};
}

int start_supervisor_process(const SupervisorStart& how, const std::vector<std::string>& command,
                             const OwnedDescriptor& link, pid_t& pid) {
    std::vector<std::string> arguments{how.path, std::to_string(kLinkVersion), std::to_string(how.grace.count()),
                                       std::to_string(how.max_output)};
    arguments.insert(arguments.end(), command.begin(), command.end());
    std::vector<char*> argv;
    for (std::string& argument : arguments) argv.push_back(argument.data());
    argv.push_back(nullptr);

    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    ::posix_spawn_file_actions_init(&actions);
    ::posix_spawnattr_init(&attributes);
    ::posix_spawn_file_actions_adddup2(&actions, link.get(), kLinkDescriptor);
    ::posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDWR, 0);
    ::posix_spawn_file_actions_adddup2(&actions, STDIN_FILENO, STDOUT_FILENO);
    // No signal reaches it from its first moment on, so a terminal's cannot end it before it has said so itself.
    sigset_t all;
    ::sigfillset(&all);
    ::posix_spawnattr_setsigmask(&attributes, &all);
    ::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSID);
    const int error = ::posix_spawn(&pid, how.path.c_str(), &actions, &attributes, argv.data(), environ);
    ::posix_spawnattr_destroy(&attributes);
    ::posix_spawn_file_actions_destroy(&actions);
    return error;
}

}  // namespace curfew
