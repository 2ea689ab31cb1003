#include "collector/sink.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <limits.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <system_error>

#include "common/log.h"

namespace curfew {
namespace {

constexpr std::size_t kFilePiece = 1 << 20;

}  // namespace

DescriptorSink::DescriptorSink(int descriptor, Format format) : descriptor_(descriptor), format_(format) {
    struct stat found {};
    if (fstat(descriptor_, &found) != 0)
        throw std::system_error(errno, std::generic_category(), "cannot write to the sink");
    is_file_ = S_ISREG(found.st_mode);
}

DescriptorSink::~DescriptorSink() {
    close(descriptor_);
}

void DescriptorSink::put(const OutcomeRecord& outcome) {
    format_(bytes_, outcome);
    pending_.push_back({written_ + (bytes_.size() - begin_), outcome.sync, outcome.seq});
}

/// How much to write at once: whole lines, and to a pipe no more than it takes without blocking (poll said that
/// PIPE_BUF fit).
std::size_t DescriptorSink::piece() const {
    const std::size_t left = bytes_.size() - begin_;
    const std::size_t most = is_file_ ? kFilePiece : PIPE_BUF;
    if (left <= most) return left;
    const std::size_t newline = bytes_.rfind('\n', begin_ + most - 1);
    return newline == std::string::npos || newline < begin_ ? most : newline + 1 - begin_;
}

void DescriptorSink::flush(Instant now, Written& written) {
    retry_at_ = kNever;
    while (begin_ < bytes_.size()) {
        pollfd item{descriptor_, POLLOUT, 0};
        if (!is_file_ && poll(&item, 1, 0) <= 0) break;
        const ssize_t size = write(descriptor_, bytes_.data() + begin_, piece());
        if (size >= 0) {
            begin_ += static_cast<std::size_t>(size);
            written_ += static_cast<std::uint64_t>(size);
            full_ = false;
        } else if (errno == ENOSPC || errno == EDQUOT) {
            if (!std::exchange(full_, true)) log::error("sink_full action=\"waiting for space\"");
            retry_at_ = now + std::chrono::milliseconds(500);
            break;
        } else if (errno == EAGAIN) {
            break;
        } else if (errno != EINTR) {
            throw std::system_error(errno, std::generic_category(), "cannot write to the sink");
        }
    }
    if (begin_ == bytes_.size()) {
        bytes_.clear();
        begin_ = 0;
    } else if (begin_ > kFilePiece) {
        bytes_.erase(0, begin_);
        begin_ = 0;
    }
    for (; !pending_.empty() && pending_.front().end <= written_; pending_.pop_front()) {
        written.emplace_back(pending_.front().sync, pending_.front().seq);
    }
}

void DescriptorSink::wait_for(Poller& poller) {
    if (begin_ < bytes_.size() && !full_) poller.add(descriptor_, POLLOUT);
}

namespace {

/// Where the last whole line ends. Throws if no line ends within the size of the largest outcome: such a file is not
/// ours.
off_t end_of_last_line(int descriptor, off_t size) {
    constexpr off_t kBlock = 64 << 10;
    constexpr off_t kLongest = 256 << 20;
    std::string block;
    for (off_t end = size; end > 0 && size - end < kLongest;) {
        const off_t begin = std::max<off_t>(0, end - kBlock);
        block.resize(static_cast<std::size_t>(end - begin));
        if (pread(descriptor, block.data(), block.size(), begin) != end - begin) break;
        if (const std::size_t at = block.rfind('\n'); at != std::string::npos)
            return begin + static_cast<off_t>(at) + 1;
        end = begin;
        if (end == 0) return 0;
    }
    throw std::system_error(EILSEQ, std::generic_category(),
                            "the sink's file has no line that ends: it is not one of ours");
}

}  // namespace

int open_sink_file(const std::string& path, bool crashed_before) {
    const int descriptor = open(path.c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    if (descriptor < 0)
        throw std::system_error(errno, std::generic_category(), fmt::format("cannot write to '{}'", path));
    struct stat found {};
    if (fstat(descriptor, &found) != 0 || !S_ISREG(found.st_mode) || found.st_size == 0) return descriptor;
    char last = 0;
    if (pread(descriptor, &last, 1, found.st_size - 1) == 1 && last == '\n') return descriptor;
    if (!crashed_before) {
        (void)!write(descriptor, "\n", 1);
        return descriptor;
    }
    const off_t end = end_of_last_line(descriptor, found.st_size);
    if (end < found.st_size) {
        log::warn("torn_line_dropped file={} bytes={}", log::quoted(path), found.st_size - end);
        if (ftruncate(descriptor, end) != 0)
            throw std::system_error(errno, std::generic_category(), fmt::format("cannot mend '{}'", path));
    }
    return descriptor;
}

void ZmqSink::put(const OutcomeRecord& outcome) {
    Pending& next = pending_.emplace_back();
    format_(next.bytes, outcome);
    next.sync = outcome.sync;
    next.seq = outcome.seq;
}

void ZmqSink::flush(Instant now, Written& written) {
    retry_at_ = kNever;
    for (; !pending_.empty(); pending_.pop_front()) {
        const Pending& next = pending_.front();
        // A frame of its own needs no newline behind it; no frame at all for what raw has nothing for.
        std::string_view bytes = next.bytes;
        if (!bytes.empty()) bytes.remove_suffix(1);
        if (!next.bytes.empty() && !socket_.send(bytes)) {
            retry_at_ = now + std::chrono::milliseconds(2);
            return;
        }
        sent_ += bytes.size();
        written.emplace_back(next.sync, next.seq);
    }
}

}  // namespace curfew
