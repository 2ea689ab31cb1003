// A file as memory that outlives its process: what was stored in it can be read by others, however the process ended.
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
    /// `size` bytes with their place on the disk. Throws std::system_error.
    MappedFile(const std::string& path, std::size_t size, Contents contents = Contents::anew);
    ~MappedFile();
    MappedFile(const MappedFile&) = delete;
    MappedFile& operator=(const MappedFile&) = delete;

    [[nodiscard]] void* data() const { return data_; }

private:
    void* data_ = nullptr;
    std::size_t size_ = 0;
};

}  // namespace curfew
