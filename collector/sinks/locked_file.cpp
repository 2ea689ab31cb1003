#include "collector/sinks/locked_file.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "common/process/locked_file.h"
#include "common/process/options.h"
#include "common/words/exit_code.h"

namespace curfew {

LockedFile::LockedFile(const std::string& path) {
    struct stat found {};
    if (::stat(path.c_str(), &found) == 0 && !S_ISREG(found.st_mode) && !S_ISDIR(found.st_mode))
        throw Unusable(kExitUsage, fmt::format("'{}' is no file: only a file can be gone on with", path));
    descriptor_ = open_locked(path);
    if (descriptor_ >= 0) return;
    if (errno == EWOULDBLOCK)
        throw Unusable(kExitUsage,
                       fmt::format("'{}' is being written by another collector: is the run before still there?", path));
    throw Unusable(exit_code_of(errno), fmt::format("cannot write to '{}': {}", path, std::strerror(errno)));
}

LockedFile::~LockedFile() {
    ::close(descriptor_);
}

}  // namespace curfew
