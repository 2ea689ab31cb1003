#include "monitor/letter_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <system_error>
#include <utility>

#include "common/process/options.h"
#include "common/words/exit_code.h"

namespace curfew {
namespace {

constexpr std::size_t kChunk = 256 * 1024;

int open_to_read(const std::string& name) {
    const int descriptor =
        name == "-" ? fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3) : open(name.c_str(), O_RDONLY | O_CLOEXEC);
    if (descriptor < 0)
        throw Unusable(kExitUsage, fmt::format("dead-letters: cannot read '{}': {}", name, std::strerror(errno)));
    return descriptor;
}

}  // namespace

// ---- lines -------------------------------------------------------------------------------------

LineFile::LineFile(const std::string& name) : name_(name), descriptor_(open_to_read(name)) {
    struct stat found {};
    if (fstat(descriptor_, &found) != 0) throw std::system_error(errno, std::generic_category(), name_);
    if (S_ISDIR(found.st_mode)) {
        close(descriptor_);
        throw Unusable(kExitUsage, fmt::format("dead-letters: '{}' is a folder: name a file of dead letters", name_));
    }
    regular_ = S_ISREG(found.st_mode);
    const off_t at = regular_ ? lseek(descriptor_, 0, SEEK_CUR) : 0;
    start_ = read_ = static_cast<std::uint64_t>(std::max<off_t>(at, 0));
}

LineFile::~LineFile() {
    close(descriptor_);
}

bool LineFile::next(Line& line) {
    line = {};
    for (std::size_t scanned = begin_;;) {
        const std::size_t end = buffer_.find('\n', scanned);
        if (end != std::string::npos) {
            if (!line.too_long) line.text = std::string_view(buffer_).substr(begin_, end - begin_);
            begin_ = end + 1;
            return true;
        }
        buffer_.erase(0, std::exchange(begin_, 0));
        if (buffer_.size() > kMostLine || line.too_long) {
            line.too_long = true;
            buffer_.clear();
        }
        if (at_end_) break;
        scanned = buffer_.size();
        fill();
    }
    line.has_end = false;
    line.text = buffer_;
    begin_ = buffer_.size();
    return !buffer_.empty() || line.too_long;
}

void LineFile::fill() {
    const std::size_t before = buffer_.size();
    const std::size_t room = std::min<std::uint64_t>(kChunk, end_ - read_);
    buffer_.resize(before + room);
    ssize_t got = 0;
    do {
        got = read(descriptor_, buffer_.data() + before, room);
    } while (got < 0 && errno == EINTR);
    if (got < 0) throw std::system_error(errno, std::generic_category(), name_);
    buffer_.resize(before + static_cast<std::size_t>(got));
    read_ += static_cast<std::uint64_t>(got);
    at_end_ = got == 0;
    if (at_end_) check_size();
}

/// Who empties a file that is being read must not make of it one that has ended well.
void LineFile::check_size() const {
    struct stat found {};
    if (!regular_ || fstat(descriptor_, &found) != 0) return;
    const bool is_short = end_ != UINT64_MAX && read_ < end_;
    if (!is_short && static_cast<std::uint64_t>(found.st_size) >= read_) return;
    throw std::system_error(EIO, std::generic_category(),
                            name_ + ": it was emptied while it was read (launch --dead-letters empties its file)");
}

void LineFile::begin_again() {
    end_ = read_;
    read_ = start_;
    if (lseek(descriptor_, static_cast<off_t>(start_), SEEK_SET) < 0)
        throw std::system_error(errno, std::generic_category(), name_);
    buffer_.clear();
    begin_ = 0;
    at_end_ = false;
}

// ---- letters -----------------------------------------------------------------------------------

bool LetterFile::next() {
    for (LineFile::Line line; file_.next(line);) {
        ++number_;
        // A collector that was killed may have left an empty one
        if (line.text.empty() && !line.too_long) continue;
        const LineKind kind = line.too_long ? LineKind::foreign : read_letter(line.text, letter_);
        line_ = line.text;
        if (kind == LineKind::letter) return true;
        if (kind == LineKind::completed) continue;
        if (line.has_end) {
            if (left_out_.lines++ == 0) left_out_.first = number_;
        } else {
            left_out_.torn = true;
        }
    }
    return false;
}

void LetterFile::begin_again() {
    file_.begin_again();
    number_ = 0;
    left_out_ = {};
}

}  // namespace curfew
