#include "worker/supervisor/handed_on.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <stdexcept>
#include <string_view>
#include <system_error>

namespace curfew {
namespace {

constexpr std::size_t kMost = 64;

[[noreturn]] void refuse(int number, std::string_view why) {
    const std::string text = std::to_string(number);
    throw std::invalid_argument("COMMAND names /dev/fd/" + text + ", " + std::string(why) +
                                "; use a file, or close the descriptor (" + text + "<&-) if the command opens its own");
}

/// Of a descriptor that was not opened by us: all of ours close at an exec.
bool is_inherited(int number) {
    const int flags = ::fcntl(number, F_GETFD);
    return flags >= 0 && (flags & FD_CLOEXEC) == 0;
}

void check(int number) {
    struct stat status {};
    if (::fstat(number, &status) != 0) throw std::system_error(errno, std::generic_category(), "fstat");
    const bool is_read = (::fcntl(number, F_GETFL) & O_ACCMODE) != O_WRONLY;
    if (S_ISFIFO(status.st_mode) && is_read)
        refuse(number, "which is a pipe: the first attempt would eat what is in it");
    if (S_ISSOCK(status.st_mode)) refuse(number, "which is a socket: attempts cannot share it");
    if (::isatty(number) != 0) refuse(number, "which is a terminal: attempts cannot share it");
    const OwnedDescriptor tried(open_for_attempt(number, STDERR_FILENO));
    if (!tried) {
        const std::string why = std::generic_category().message(errno);
        refuse(number, "which cannot be opened anew for each attempt (" + why + ")");
    }
}

void find_in(std::string_view argument, std::string_view folder, std::vector<int>& numbers) {
    for (std::size_t at = 0; (at = argument.find(folder, at)) != std::string_view::npos;) {
        at += folder.size();
        int number = 0;
        const auto [end, error] = std::from_chars(argument.data() + at, argument.data() + argument.size(), number);
        const bool usable = error == std::errc() && number > STDERR_FILENO && argument[at] != '-';
        if (usable && std::ranges::find(numbers, number) == numbers.end()) numbers.push_back(number);
    }
}

}  // namespace

std::vector<int> descriptors_named(const std::vector<std::string>& command) {
    std::vector<int> numbers;
    for (const std::string& argument : command) {
        for (const std::string_view folder : {"/dev/fd/", "/proc/self/fd/"}) find_in(argument, folder, numbers);
    }
    return numbers;
}

HandedOn take_handed_on(const std::vector<std::string>& command) {
    HandedOn taken;
    for (const int number : descriptors_named(command)) {
        if (!is_inherited(number)) continue;
        if (taken.numbers.size() == kMost) refuse(number, "and too many others (" + std::to_string(kMost) + ")");
        check(number);
        // High enough that a supervisor's link and all of these can be laid side by side.
        const int copy = ::fcntl(number, F_DUPFD_CLOEXEC, kLinkDescriptor + 1 + static_cast<int>(kMost));
        if (copy < 0) throw std::system_error(errno, std::generic_category(), "/dev/fd/" + std::to_string(number));
        taken.numbers.push_back(number);
        taken.descriptors.emplace_back(copy);
    }
    return taken;
}

int open_for_attempt(int descriptor, int above) {
    const int flags = ::fcntl(descriptor, F_GETFL);
    if (flags < 0) return -1;
    if ((flags & O_ACCMODE) != O_RDONLY) return ::fcntl(descriptor, F_DUPFD_CLOEXEC, above + 1);
    const std::string path = "/proc/self/fd/" + std::to_string(descriptor);
    const int kept = flags & (O_PATH | O_DIRECTORY | O_NOATIME | O_DIRECT);
    const OwnedDescriptor anew(::open(path.c_str(), O_RDONLY | O_CLOEXEC | kept));
    if (!anew) return -1;
    if (const off_t at = ::lseek(descriptor, 0, SEEK_CUR); at > 0) (void)::lseek(anew.get(), at, SEEK_SET);
    return ::fcntl(anew.get(), F_DUPFD_CLOEXEC, above + 1);
}

}  // namespace curfew
