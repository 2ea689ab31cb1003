// A file that one collector at a time writes. Owned by a sink, which lets go of the lock with it.
#pragma once

#include <string>

namespace curfew {

class LockedFile {
public:
    /// As open_locked() (common/process/locked_file.h). Throws Unusable.
    explicit LockedFile(const std::string& path);
    ~LockedFile();
    LockedFile(const LockedFile&) = delete;
    LockedFile& operator=(const LockedFile&) = delete;

    [[nodiscard]] int descriptor() const { return descriptor_; }

private:
    int descriptor_ = -1;
};

}  // namespace curfew
