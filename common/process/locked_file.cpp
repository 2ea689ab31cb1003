#include "common/process/locked_file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <system_error>
#include <thread>

#include "common/process/clock.h"

namespace curfew {
namespace {

bool is_at(const std::string& path, int descriptor) {
    struct stat opened {
    }, there{};
    return ::fstat(descriptor, &opened) == 0 && ::stat(path.c_str(), &there) == 0 && opened.st_ino == there.st_ino &&
           opened.st_dev == there.st_dev;
}

}  // namespace

int open_locked(const std::string& path, unsigned mode) {
    for (const Instant until = Clock::now() + kLockPatience;;) {
        const int descriptor = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NONBLOCK, mode);
        if (descriptor < 0) return -1;
        if (::flock(descriptor, LOCK_EX | LOCK_NB) == 0 && is_at(path, descriptor)) return descriptor;
        ::close(descriptor);
        if (Clock::now() >= until) {
            errno = EWOULDBLOCK;
            return -1;
        }
        // nobody tells when a lock is let go
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
}

std::string without_links(const std::string& path) {
    std::error_code error;
    const std::filesystem::path found = std::filesystem::canonical(path, error);
    return error ? path : found.string();
}

void sync_folder_of(const std::string& name) {
    const std::string path = without_links(name);
    const std::size_t slash = path.rfind('/');
    const std::string folder = slash == std::string::npos ? "." : slash == 0 ? "/" : path.substr(0, slash);
    const int descriptor = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (descriptor < 0) return;
    (void)::fsync(descriptor);
    ::close(descriptor);
}

}  // namespace curfew
