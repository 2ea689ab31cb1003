#include "collector/sinks/locked_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <thread>

#include "common/process/clock.h"
#include "common/process/options.h"
#include "common/words/exit_code.h"

namespace curfew {

using namespace std::chrono_literals;

namespace {

constexpr Duration kPatience = 2s;

}  // namespace

LockedFile::LockedFile(const std::string& path) {
    try {
        open(path);
    } catch (...) {
        if (descriptor_ >= 0) ::close(descriptor_);
        throw;
    }
}

void LockedFile::open(const std::string& path) {
    descriptor_ = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (descriptor_ < 0)
        throw Unusable(exit_code_of(errno), fmt::format("cannot write to '{}': {}", path, std::strerror(errno)));
    struct stat found {};
    if (::fstat(descriptor_, &found) != 0 || !S_ISREG(found.st_mode))
        throw Unusable(kExitUsage, fmt::format("'{}' is no file: only a file can be gone on with", path));
    const Instant until = Clock::now() + kPatience;
    while (::flock(descriptor_, LOCK_EX | LOCK_NB) != 0) {
        if (Clock::now() >= until)
            throw Unusable(
                kExitUsage,
                fmt::format("'{}' is being written by another collector: is the run before still there?", path));
        std::this_thread::sleep_for(20ms);  // nobody tells when a lock is let go
    }
}

LockedFile::~LockedFile() {
    ::close(descriptor_);
}

void sync_folder_of(const std::string& path) {
    const std::size_t slash = path.rfind('/');
    const std::string folder = slash == std::string::npos ? "." : slash == 0 ? "/" : path.substr(0, slash);
    const int descriptor = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (descriptor < 0) return;
    (void)::fsync(descriptor);
    ::close(descriptor);
}

}  // namespace curfew
