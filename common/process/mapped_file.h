// A file as memory that outlives its process: what was stored in it can be read by others, however
// the process ended. One process at a time writes it: the file is locked (flock) as long as it is
// mapped.
#pragma once

#include <cstddef>
#include <string>
#include <utility>

namespace curfew {

class MappedFile {
public:
    enum class Contents {
        anew,  ///< zeros
        kept,  ///< what is there, from the life before; zeros where nothing is
    };
    /// `size` bytes with their place on the disk. Throws std::system_error, with EWOULDBLOCK where
    /// another process has it.
    MappedFile(const std::string& path, std::size_t size, Contents contents = Contents::anew);
    ~MappedFile();
    MappedFile(const MappedFile&) = delete;
    MappedFile& operator=(const MappedFile&) = delete;

    [[nodiscard]] void* data() const { return data_; }

private:
    int descriptor_ = -1;  // holds the lock
    void* data_ = nullptr;
    std::size_t size_ = 0;
};

}  // namespace curfew
