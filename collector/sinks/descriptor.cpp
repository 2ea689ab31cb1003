#include "collector/sinks/descriptor.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

#include "common/process/log.h"
#include "common/process/open_files.h"

namespace curfew {
namespace {

constexpr std::size_t kFilePiece = 1 << 20;
// What is to be written is kept and given back in such parts
constexpr std::size_t kChunk = 256 << 10;
// For one flush: a reader that keeps up must not hold the loop
constexpr std::uint64_t kTurn = 16ULL << 20;

/// A text that grows has room for twice as much; for one that waits that would be half of the
/// memory.
void give_back_room(std::string& text) {
    if (text.capacity() - text.size() > kChunk / 8) text.shrink_to_fit();
}

}  // namespace

// ---- what it waits for -------------------------------------------------------------------------

void SaidWait::waits(Instant now, std::string_view what, std::string_view advice) {
    if (what_ != what) {
        what_ = what;
        since_ = now;
        said_ = false;
    }
    if (said_ || now - since_ < kPatience) return;
    said_ = true;
    log::warn(
        "sink_waits sink={} for={} why={} action=\"outcomes are kept until then; a second INT or TERM to launch "
        "stops\"",
        log::quoted(sink_), log::quoted(what), log::quoted(advice));
}

void SaidWait::over(Instant now) {
    if (std::exchange(said_, false))
        log::warn("sink_goes_on sink={} after_s={:.1f}", log::quoted(sink_),
                  std::chrono::duration<double>(now - since_).count());
    what_ = {};
}

// ---- descriptors -------------------------------------------------------------------------------

DescriptorSink::DescriptorSink(const Place& place, Format format)
    : place_(place),
      descriptor_(place.descriptor),
      format_(format),
      mark_(place.mark),
      wait_(place.name),
      space_(place.name) {
    if (descriptor_ >= 0) begin_life();
}

DescriptorSink::~DescriptorSink() {
    mark_.end();
    if (descriptor_ >= 0) ::close(descriptor_);
}

/// The newline that ends a torn line of the life before comes first, or the header.
void DescriptorSink::begin_life() {
    if (mark_.begin(descriptor_, place_.name, place_.without_word)) return write_first("\n");
    struct stat found {};
    const bool has_begun = mark_.is_file() && fstat(descriptor_, &found) == 0 && found.st_size > 0;
    if (!place_.header.empty() && !has_begun) write_first(place_.header);
}

/// Nothing was written yet.
void DescriptorSink::write_first(std::string_view text) {
    chunks_.emplace_front(text);
    formatted_ += text.size();
    for (Pending& next : pending_) next.end += text.size();
    pending_.push_front({.end = text.size(), .sync = 0, .seq = 0});
}

/// For writing only, so that its reader is the only one, and his end is the end. Nobody tells when
/// there is one.
bool DescriptorSink::open_fifo(Instant now) {
    constexpr auto kEvery = std::chrono::milliseconds(50);
    descriptor_ = open(place_.name.c_str(), O_WRONLY | O_NONBLOCK | O_CLOEXEC);
    if (descriptor_ >= 0) {
        wait_.over(now);
        begin_life();
        return true;
    }
    if (errno != ENXIO && errno != EINTR) cannot_write(place_.name, errno);
    wait_.waits(now, "a reader", "nobody has opened this FIFO for reading");
    retry_at_ = now + kEvery;
    return false;
}

/// What is left unread in a pipe when its last reader is gone has not arrived.
bool DescriptorSink::close(Instant, Instant) {
    if (descriptor_ < 0 || !mark_.is_pipe()) return true;
    int unread = 0;
    pollfd item{descriptor_, POLLOUT, 0};
    const bool alone = poll(&item, 1, 0) > 0 && (item.revents & POLLERR) != 0;
    if (alone && ioctl(descriptor_, FIONREAD, &unread) == 0 && unread > 0) {
        throw std::system_error(
            EPIPE, std::generic_category(),
            fmt::format("the reader of the sink {} has gone, and left {} bytes unread", place_.name, unread));
    }
    return true;
}

void DescriptorSink::put(const OutcomeRecord& outcome) {
    if (!chunks_.empty() && chunks_.back().size() >= kChunk) give_back_room(chunks_.back());
    if (chunks_.empty() || chunks_.back().size() >= kChunk) chunks_.emplace_back();
    std::string& chunk = chunks_.back();
    const std::size_t before = chunk.size();
    format_(chunk, outcome);
    formatted_ += chunk.size() - before;
    pending_.push_back({formatted_, outcome.sync, outcome.seq});
}

/// How much to write at once: whole outcomes, and to a pipe no more than it takes without blocking
/// (poll said that PIPE_BUF fit). So an outcome that begins in a piece and fits into PIPE_BUF ends
/// in it, whatever is before it.
DescriptorSink::Piece DescriptorSink::next_piece() const {
    const std::size_t left = chunks_.front().size() - begin_;
    const std::size_t most = mark_.is_file() ? kFilePiece : PIPE_BUF;
    const bool begins_whole = whole_ == written_;
    if (left <= most) return {left, begins_whole};
    std::uint64_t end = written_;
    for (const Pending& next : pending_) {
        if (next.end > written_ + most) break;
        end = next.end;
    }
    if (end == written_) return {most, false};
    return {static_cast<std::size_t>(end - written_), begins_whole};
}

void DescriptorSink::flush(Instant now, Written& written) {
    retry_at_ = kNever;
    space_.tries();
    if (descriptor_ < 0 && !open_fifo(now)) return settle(written);
    const std::uint64_t stop = written_ + kTurn;
    settle(written);  // what the form has nothing for
    while (waiting_bytes() > 0 && written_ < stop) {
        pollfd item{descriptor_, POLLOUT, 0};
        if (!mark_.is_file() && poll(&item, 1, 0) <= 0) break;
        const Piece piece = next_piece();
        mark_.before_write(piece.size, piece.whole);
        const ssize_t size = write(descriptor_, chunks_.front().data() + begin_, piece.size);
        const int error = size < 0 ? errno : 0;
        taken(size > 0 ? static_cast<std::size_t>(size) : 0, written);
        if (error == 0 || error == EINTR) continue;
        // A full disk, and a pipe that was filled by others, are no failures
        if (error != EAGAIN && !space_.is_full(error, now)) cannot_write(place_.name, error);
        break;
    }
}

/// An outcome is written when its last byte is.
void DescriptorSink::taken(std::size_t size, Written& written) {
    begin_ += size;
    written_ += size;
    if (size > 0) space_.has_taken();
    if (begin_ == chunks_.front().size()) {
        // The last one is used again, unless it had to be large.
        if (chunks_.size() > 1 || chunks_.front().capacity() > 2 * kChunk) {
            chunks_.pop_front();
        } else {
            chunks_.front().clear();
        }
        begin_ = 0;
    }
    settle(written);
    mark_.after_write(size, written_ - whole_);
}

void DescriptorSink::forget_waiting() {
    if (pending_.empty()) return;
    // Or what comes before all outcomes
    const bool begun = whole_ != written_ || pending_.front().seq == 0;
    pending_.resize(begun ? 1 : 0);
    chunks_.resize(begun ? 1 : 0);
    formatted_ = begun ? pending_.front().end : written_;
    if (begun) {
        chunks_.front().resize(begin_ + static_cast<std::size_t>(formatted_ - written_));
    } else {
        begin_ = 0;
    }
}

void DescriptorSink::settle(Written& written) {
    for (; !pending_.empty() && pending_.front().end <= written_; pending_.pop_front()) {
        const Pending& next = pending_.front();
        whole_ = next.end;
        if (next.seq != 0) written.emplace_back(next.sync, next.seq);
    }
}

void DescriptorSink::wait_for(Poller& poller) {
    if (waiting_bytes() > 0 && !space_.waits()) poller.add(descriptor_, POLLOUT);
}

bool is_open_already(const std::string& path) {
    return named_descriptor(path) >= 0;
}

int open_sink_file(const std::string& path) {
    const int named = named_descriptor(path);
    if (named >= 0 && !is_inherited(named))
        throw std::system_error(EBADF, std::generic_category(), fmt::format("cannot write to '{}'", path));
    struct stat found {};
    if (named < 0 && stat(path.c_str(), &found) == 0 && S_ISFIFO(found.st_mode)) return -1;
    const int descriptor = named >= 0 ? fcntl(named, F_DUPFD_CLOEXEC, 0)
                                      : open(path.c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    if (descriptor < 0)
        throw std::system_error(errno, std::generic_category(), fmt::format("cannot write to '{}'", path));
    return descriptor;
}

}  // namespace curfew
