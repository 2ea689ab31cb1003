#include "broker/books_page.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

namespace curfew {

BooksPage::BooksPage(const std::string& file) {
    constexpr std::size_t kBytes = fields * sizeof(std::uint64_t);
    const int descriptor = open(file.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (descriptor < 0) throw std::system_error(errno, std::generic_category(), "cannot write " + file);
    void* mapped = MAP_FAILED;
    if (ftruncate(descriptor, kBytes) == 0) {
        mapped = mmap(nullptr, kBytes, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0);
    }
    const int error = errno;
    close(descriptor);
    if (mapped == MAP_FAILED) throw std::system_error(error, std::generic_category(), "cannot map " + file);
    page_ = static_cast<std::uint64_t*>(mapped);
    page_[magic] = kMagic;
    page_[state] = running;
    page_[pid] = static_cast<std::uint64_t>(getpid());
}

BooksPage::~BooksPage() {
    munmap(page_, fields * sizeof(std::uint64_t));
}

}  // namespace curfew
