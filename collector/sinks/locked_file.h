// A file that one collector at a time writes. Owned by a sink, which lets go of the lock with it.
#pragma once

#include <string>

namespace curfew {

class LockedFile {
public:
    /// Opens the file, or makes it, and locks it (flock), for which it waits a moment: the one
    /// before may be on its way out. Throws Unusable.
    explicit LockedFile(const std::string& path);
    ~LockedFile();
    LockedFile(const LockedFile&) = delete;
    LockedFile& operator=(const LockedFile&) = delete;

    [[nodiscard]] int descriptor() const { return descriptor_; }

private:
    void open(const std::string& path);

    int descriptor_ = -1;
};

/// A file that is new is found after a power loss when its folder was synced, too.
void sync_folder_of(const std::string& path);

}  // namespace curfew
