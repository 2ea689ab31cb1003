#include "common/process/mapped_file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

namespace curfew {

MappedFile::MappedFile(const std::string& path, std::size_t size, Contents contents) : size_(size) {
    descriptor_ = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (descriptor_ < 0) throw std::system_error(errno, std::generic_category(), "cannot write " + path);
    // Locked before it is emptied: to whom it belongs, a page without its bytes is a SIGBUS.
    int error = flock(descriptor_, LOCK_EX | LOCK_NB) == 0 ? 0 : errno;
    if (error == 0 && contents == Contents::anew && ftruncate(descriptor_, 0) != 0) error = errno;
    // A hole would be a SIGBUS later, when the disk is full.
    if (error == 0) error = posix_fallocate(descriptor_, 0, static_cast<off_t>(size));
    void* mapped = MAP_FAILED;
    if (error == 0) {
        mapped = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor_, 0);
        error = errno;
    }
    if (mapped == MAP_FAILED) {
        close(descriptor_);
        throw std::system_error(error, std::generic_category(), "cannot map " + path);
    }
    data_ = mapped;
}

MappedFile::~MappedFile() {
    munmap(data_, size_);
    close(descriptor_);
}

}  // namespace curfew
