#include "collector/sinks/mark.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <limits.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <optional>
#include <system_error>

#include "common/process/log.h"

namespace curfew {
namespace {

constexpr std::uint64_t kMagic = 0x314b52414d4b4e53;  // "SNKMARK1"

/// The page is what a killed process leaves: the order of the stores counts.
void store(std::uint64_t& field, std::uint64_t value) {
    std::atomic_ref(field).store(value, std::memory_order_release);
}

/// The sink's file for reading: stdout is mostly opened for writing alone. -1 where that is not
/// allowed.
int open_to_read(int descriptor) {
    return open(fmt::format("/proc/self/fd/{}", descriptor).c_str(), O_RDONLY | O_CLOEXEC);
}

/// Nothing where it cannot be read.
std::optional<char> byte_before(int descriptor, std::uint64_t position) {
    const int file = open_to_read(descriptor);
    char byte = 0;
    const bool read = file >= 0 && position > 0 && pread(file, &byte, 1, static_cast<off_t>(position - 1)) == 1;
    if (file >= 0) close(file);
    return read ? std::optional(byte) : std::nullopt;
}

/// Where the last whole line ends. Throws if no line ends within the size of the largest outcome:
/// such a file is not ours.
std::uint64_t end_of_last_line(int descriptor, std::uint64_t size) {
    constexpr std::uint64_t kBlock = 64 << 10;
    constexpr std::uint64_t kLongest = 256 << 20;
    std::string block;
    for (std::uint64_t end = size; end > 0 && size - end < kLongest;) {
        const std::uint64_t begin = end - std::min(end, kBlock);
        block.resize(end - begin);
        if (pread(descriptor, block.data(), block.size(), static_cast<off_t>(begin)) !=
            static_cast<ssize_t>(block.size()))
            break;
        if (const std::size_t at = block.rfind('\n'); at != std::string::npos) return begin + at + 1;
        end = begin;
        if (end == 0) return 0;
    }
    throw std::system_error(EILSEQ, std::generic_category(),
                            "the sink's file has no line that ends: it is not one of ours");
}

void say_ended(const std::string& name, std::string_view reason) {
    log::warn("torn_line_ended sink={} reason={} action=\"a newline; the outcome follows whole\"", log::quoted(name),
              log::quoted(reason));
}

}  // namespace

SinkMark::SinkMark(const std::string& path) : page_(&own_) {
    if (path.empty()) return;
    file_ = std::make_unique<MappedFile>(path, sizeof(Page), MappedFile::Contents::kept);
    page_ = static_cast<Page*>(file_->data());
}

// ---- the start of a life -----------------------------------------------------------------------

bool SinkMark::begin(int descriptor, std::string name, WithoutWord without_word) {
    descriptor_ = descriptor;
    name_ = std::move(name);
    struct stat found {};
    if (fstat(descriptor_, &found) != 0)
        throw std::system_error(errno, std::generic_category(), "cannot write to the sink");
    is_file_ = S_ISREG(found.st_mode);
    is_pipe_ = S_ISFIFO(found.st_mode);
    appends_ = (fcntl(descriptor_, F_GETFL) & O_APPEND) != 0;
    const bool has_word = page_->magic == kMagic;
    // The word is about another sink: this one may be as its owner has left it.
    if (has_word && without_word == WithoutWord::cut) without_word = WithoutWord::newline;
    const bool known = has_word && page_->device == found.st_dev && page_->inode == found.st_ino;
    bool newline = false;
    if (is_file_) {
        newline = begin_file(static_cast<std::uint64_t>(found.st_size), known, without_word);
    } else if (known) {
        newline = page_->whole < page_->end;
        position_ = page_->end;
        if (newline) say_ended(name_, "the life before ended within a line, or just before it or behind it");
    }
    if (!known) {
        store(page_->magic, 0);  // a kill in between: no word is better than a wrong one
        store(page_->device, found.st_dev);
        store(page_->inode, found.st_ino);
        store(page_->whole, position_);
        store(page_->end, position_);
        store(page_->magic, kMagic);
    }
    return newline;
}

bool SinkMark::begin_file(std::uint64_t size, bool known, WithoutWord without_word) {
    position_ = position_in_file();
    // A file that ends before what was whole was made anew, or is what a crash of the system has
    // left of it.
    if (!known || position_ < page_->whole) {
        const bool newline = mend_unknown_file(without_word);
        if (known) store(page_->whole, position_);
        return newline;
    }
    if (position_ == page_->whole) return false;
    if (position_ <= page_->end && size <= position_) {
        // Nothing of this was confirmed, even if it is whole: it will be written again.
        if (cut(page_->whole)) return false;
        say_ended(name_, "the life before ended within a line, which cannot be cut off");
        return true;
    }
    // Others have written since, and that stays. Where one cannot look, our own last word counts.
    const bool torn = page_->whole < page_->end;
    store(page_->whole, position_);
    const std::optional<char> last = byte_before(descriptor_, position_);
    if (last ? *last == '\n' : !torn) return false;
    say_ended(name_, last ? "others have written behind the last line, which does not end"
                          : "others have written behind a torn line, and it cannot be read how that ends");
    return true;
}

bool SinkMark::mend_unknown_file(WithoutWord without_word) {
    if (without_word == WithoutWord::leave || position_ == 0 || byte_before(descriptor_, position_) == '\n')
        return false;
    if (without_word == WithoutWord::newline) return true;
    if (cut(end_of_last_line(descriptor_, position_))) return false;
    throw std::system_error(errno, std::generic_category(), fmt::format("cannot cut the torn line of '{}'", name_));
}

/// The offset goes back with it where the lives of the collector share it, as they do with a
/// shell's `> file`: else the next write would leave a hole. If we are killed in between, the next
/// life does the same.
bool SinkMark::cut(std::uint64_t end) {
    const std::uint64_t had = size();
    if (had > end && ftruncate(descriptor_, static_cast<off_t>(end)) != 0) return false;
    if (!appends_ && lseek(descriptor_, static_cast<off_t>(std::min(had, end)), SEEK_SET) < 0) return false;
    if (had > end) log::warn("torn_line_dropped sink={} bytes={}", log::quoted(name_), had - end);
    position_ = std::min(had, end);
    return true;
}

std::uint64_t SinkMark::size() const {
    struct stat found {};
    return fstat(descriptor_, &found) == 0 ? static_cast<std::uint64_t>(found.st_size) : 0;
}

std::uint64_t SinkMark::position_in_file() const {
    return appends_ ? size() : static_cast<std::uint64_t>(lseek(descriptor_, 0, SEEK_CUR));
}

// ---- while it lives ----------------------------------------------------------------------------

void SinkMark::before_write(std::size_t size, bool whole) {
    if (is_file_) {
        const std::uint64_t position = position_in_file();
        // What others have written is not ours to cut
        if (position != position_) store(page_->whole, position);
        position_ = position;
    } else if (is_pipe_ && whole && size <= PIPE_BUF && page_->whole >= page_->end) {
        return;
    }
    store(page_->end, position_ + size);
}

void SinkMark::after_write(std::size_t size, std::size_t of_next) {
    position_ += size;
    // A whole outcome ends in what was just taken; or it ends where it did.
    if (of_next < size) store(page_->whole, position_ - of_next);
    store(page_->end, position_);
}

// ---- the end -----------------------------------------------------------------------------------

void SinkMark::end() noexcept {
    if (descriptor_ < 0 || page_->whole >= position_) return;
    if (is_file_) {
        if (position_in_file() == position_ && size() == position_) (void)cut(page_->whole);
        return;
    }
    pollfd item{descriptor_, POLLOUT, 0};
    if (poll(&item, 1, 0) != 1 || (item.revents & POLLERR) != 0 || write(descriptor_, "\n", 1) != 1) return;
    store(page_->whole, position_);
    store(page_->end, position_);
}

}  // namespace curfew
