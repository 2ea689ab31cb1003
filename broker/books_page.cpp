#include "broker/books_page.h"

#include <unistd.h>

namespace curfew {

BooksPage::BooksPage(const std::string& path)
    : file_(path, fields * sizeof(std::uint64_t)), page_(static_cast<std::uint64_t*>(file_.data())) {
    page_[magic] = kMagic;
    page_[state] = running;
    page_[pid] = static_cast<std::uint64_t>(getpid());
}

}  // namespace curfew
