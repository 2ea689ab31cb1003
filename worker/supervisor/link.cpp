// Framing for the link between worker and supervisor: see the header.
#include "worker/supervisor/link.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
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

const char* name_of(Framing framing) {
    switch (framing) {
        case Framing::none: return "none";
        case Framing::line: return "line";
        case Framing::netstring: return "netstring";
    }
    return "?";
}

std::string by_commas(const std::vector<int>& numbers) {
    std::string text;
    for (const int number : numbers) text += (text.empty() ? "" : ",") + std::to_string(number);
    return text;
}

/// As exec wants them.
std::vector<char*> pointers_to(std::vector<std::string>& texts) {
    std::vector<char*> pointers;
    for (std::string& text : texts) pointers.push_back(text.data());
    pointers.push_back(nullptr);
    return pointers;
}

/// These variables, and all of ours that have other names.
std::vector<char*> with_environ(std::vector<std::string>& own) {
    std::vector<char*> variables;
    for (char** variable = environ; *variable != nullptr; ++variable) {
        const std::string_view text = *variable;
        const std::string_view name = text.substr(0, text.find('=') + 1);
        if (std::ranges::none_of(own, [&](const std::string& mine) { return mine.starts_with(name); })) {
            variables.push_back(*variable);
        }
    }
    for (std::string& variable : own) variables.push_back(variable.data());
    variables.push_back(nullptr);
    return variables;
}

}  // namespace

void OwnedDescriptor::reset(int fd) {
    if (fd_ >= 0) ::close(fd_);
    fd_ = fd;
}

void Link::queue(LinkRecordKind kind, std::uint32_t run, std::string_view a, std::string_view b, std::string_view c,
                 std::string_view d) {
    const std::size_t size = a.size() + b.size() + c.size() + d.size();
    const Head head{.size = static_cast<std::uint32_t>(size), .kind = kind, .run = run};
    out_.reserve(out_.size() + sizeof(head) + size);
    out_.append(reinterpret_cast<const char*>(&head), sizeof(head)).append(a).append(b).append(c).append(d);
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
    std::vector<std::string> arguments{how.path,
                                       std::to_string(kLinkVersion),
                                       std::to_string(how.grace.count()),
                                       std::to_string(how.max_output),
                                       how.setup.stdin_form == StdinForm::line ? "line" : "exact",
                                       how.setup.placeholder,
                                       std::to_string(how.setup.descriptors),
                                       by_commas(how.setup.handed_on),
                                       name_of(how.setup.framing),
                                       std::to_string(how.setup.recycle)};
    arguments.insert(arguments.end(), command.begin(), command.end());
    std::vector<std::string> own = how.environment;
    std::vector<char*> argv = pointers_to(arguments), envp = with_environ(own);

    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    ::posix_spawn_file_actions_init(&actions);
    ::posix_spawnattr_init(&attributes);
    ::posix_spawn_file_actions_adddup2(&actions, link.get(), kLinkDescriptor);
    for (std::size_t i = 0; i < how.handed_on.size(); ++i) {
        const int number = kLinkDescriptor + 1 + static_cast<int>(i);
        ::posix_spawn_file_actions_adddup2(&actions, how.handed_on[i].get(), number);
    }
    ::posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDWR, 0);
    ::posix_spawn_file_actions_adddup2(&actions, STDIN_FILENO, STDOUT_FILENO);
    // No signal reaches it from its first moment on, so a terminal's cannot end it before it has
    // said so itself.
    sigset_t all;
    ::sigfillset(&all);
    ::posix_spawnattr_setsigmask(&attributes, &all);
    ::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSID);
    const int error = ::posix_spawn(&pid, how.path.c_str(), &actions, &attributes, argv.data(), envp.data());
    ::posix_spawnattr_destroy(&attributes);
    ::posix_spawn_file_actions_destroy(&actions);
    return error;
}

}  // namespace curfew
