#include "common/mapped_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

namespace curfew {

MappedFile::MappedFile(const std::string& path, std::size_t size, Contents contents) : size_(size) {
    const int truncate = contents == Contents::anew ? O_TRUNC : 0;
    const int descriptor = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | truncate, 0600);
    if (descriptor < 0) throw std::system_error(errno, std::generic_category(), "cannot write " + path);
    // A hole would be a SIGBUS later, when the disk is full.
    int error = posix_fallocate(descriptor, 0, static_cast<off_t>(size));
    void* mapped = MAP_FAILED;
    if (error == 0) {
        mapped = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0);
        error = errno;
    }
    close(descriptor);
    if (mapped == MAP_FAILED) throw std::system_error(error, std::generic_category(), "cannot map " + path);
    data_ = mapped;
}

MappedFile::~MappedFile() {
    munmap(data_, size_);
}

}  // namespace curfew
