#include "broker/books_page.h"

#include <unistd.h>

#include <cerrno>
#include <system_error>

#include "common/process/options.h"
#include "common/words/exit_code.h"

namespace curfew {

namespace {

MappedFile page_at(const std::string& path) {
    try {
        return MappedFile(path, BooksPage::fields * sizeof(std::uint64_t));
    } catch (const std::system_error& error) {
        if (error.code().value() != EWOULDBLOCK) throw;
        throw Unusable(kExitUsage, "another broker keeps its books in " + path +
                                       ": a broker needs a run directory of its own (--run-dir)");
    }
}

}  // namespace

BooksPage::BooksPage(const std::string& path) : file_(page_at(path)), page_(static_cast<std::uint64_t*>(file_.data())) {
    page_[magic] = kMagic;
    page_[state] = running;
    page_[pid] = static_cast<std::uint64_t>(getpid());
}

}  // namespace curfew
