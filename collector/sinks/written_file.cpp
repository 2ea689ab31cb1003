#include "collector/sinks/written_file.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <system_error>
#include <utility>

#include "collector/sinks/disk_space.h"

namespace curfew {
namespace {

constexpr std::size_t kPiece = 1 << 20;

}  // namespace

std::uint64_t WrittenFile::size() const {
    struct stat found {};
    if (::fstat(descriptor(), &found) != 0) cannot_write(path_, errno);
    return static_cast<std::uint64_t>(found.st_size);
}

std::string WrittenFile::read(std::uint64_t at, std::size_t most) const {
    std::string bytes(most, '\0');
    std::size_t got = 0;
    while (got < most) {
        const ssize_t size = ::pread(descriptor(), bytes.data() + got, most - got, static_cast<off_t>(at + got));
        if (size < 0 && errno == EINTR) continue;
        if (size < 0) throw std::system_error(errno, std::generic_category(), fmt::format("cannot read '{}'", path_));
        if (size == 0) break;
        got += static_cast<std::size_t>(size);
    }
    bytes.resize(got);
    return bytes;
}

void WrittenFile::cut(std::uint64_t at) {
    if (size() > at && ::ftruncate(descriptor(), static_cast<off_t>(at)) != 0) cannot_write(path_, errno);
    at_ = at;
}

int WrittenFile::write_some(std::size_t most) {
    const std::uint64_t stop = at_ + std::min<std::uint64_t>(most, out_.size() - sent_);
    while (at_ < stop) {
        const std::size_t piece = std::min<std::size_t>(kPiece, stop - at_);
        const ssize_t size = ::pwrite(descriptor(), out_.data() + sent_, piece, static_cast<off_t>(at_));
        if (size < 0 && errno == EINTR) continue;
        if (size < 0) return errno;
        sent_ += static_cast<std::size_t>(size);
        at_ += static_cast<std::size_t>(size);
    }
    // What is written goes when it is the larger part, so that each byte moves once on average
    if (sent_ > out_.size() / 2) {
        out_.erase(0, std::exchange(sent_, 0));
        if (out_.empty() && out_.capacity() > kPiece) std::string().swap(out_);
    }
    return 0;
}

std::string_view InPieces::read(std::uint64_t at, std::size_t most) {
    if (at < part_at_ || at + most > part_at_ + part_.size()) part_ = file_.read(part_at_ = at, std::max(kPiece, most));
    return std::string_view(part_).substr(at - part_at_, most);
}

}  // namespace curfew
