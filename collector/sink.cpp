#include "collector/sink.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <limits.h>
#include <poll.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

#include "common/log.h"

namespace curfew {
namespace {

constexpr std::size_t kFilePiece = 1 << 20;
constexpr std::size_t kChunk = 256 << 10;     // what is to be written is kept and given back in such parts
constexpr std::uint64_t kTurn = 16ULL << 20;  // for one flush: a reader that keeps up must not hold the loop

/// A text that grows has room for twice as much; for one that waits that would be half of the memory.
void give_back_room(std::string& text) {
    if (text.capacity() - text.size() > kChunk / 8) text.shrink_to_fit();
}

[[noreturn]] void cannot_write(int error) {
    throw std::system_error(error, std::generic_category(),
                            error == EFBIG ? "cannot write to the sink, which is as large as a file may be here "
                                             "(ulimit -f, or the most of its file system)"
                                           : "cannot write to the sink");
}

}  // namespace

// ---- descriptors ---------------------------------------------------------------------------------------------------

DescriptorSink::DescriptorSink(const Place& place, Format format)
    : descriptor_(place.descriptor), format_(format), mark_(place.mark) {
    if (!mark_.begin(descriptor_, place.name, place.without_word)) return;
    chunks_.emplace_back(1, '\n');
    formatted_ = 1;
    pending_.push_back({.end = formatted_, .sync = 0, .seq = 0});
}

DescriptorSink::~DescriptorSink() {
    mark_.end();
    close(descriptor_);
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

/// How much to write at once: whole outcomes, and to a pipe no more than it takes without blocking (poll said that
/// PIPE_BUF fit). So an outcome that begins in a piece and fits into PIPE_BUF ends in it, whatever is before it.
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
        if (!can_wait(error, now)) cannot_write(error);
        break;
    }
}

/// A full disk and a pipe that was filled by others are no failures.
bool DescriptorSink::can_wait(int error, Instant now) {
    if (error == EAGAIN) return true;
    if (error != ENOSPC && error != EDQUOT) return false;
    if (!std::exchange(full_, true)) log::error("sink_full action=\"waiting for space\"");
    retry_at_ = now + std::chrono::milliseconds(500);
    return true;
}

/// An outcome is written when its last byte is.
void DescriptorSink::taken(std::size_t size, Written& written) {
    begin_ += size;
    written_ += size;
    if (size > 0) full_ = false;
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
    const bool begun = whole_ != written_ || pending_.front().seq == 0;  // or the newline of an earlier life
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
    if (waiting_bytes() > 0 && !full_) poller.add(descriptor_, POLLOUT);
}

int open_sink_file(const std::string& path) {
    const int descriptor = open(path.c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    if (descriptor < 0)
        throw std::system_error(errno, std::generic_category(), fmt::format("cannot write to '{}'", path));
    return descriptor;
}

// ---- ZeroMQ --------------------------------------------------------------------------------------------------------

void ZmqSink::put(const OutcomeRecord& outcome) {
    Pending& next = pending_.emplace_back();
    format_(next.bytes, outcome);
    give_back_room(next.bytes);
    waiting_bytes_ += next.bytes.size();
    next.sync = outcome.sync;
    next.seq = outcome.seq;
}

void ZmqSink::forget_waiting() {
    pending_.clear();
    waiting_bytes_ = 0;
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
        waiting_bytes_ -= next.bytes.size();
        written.emplace_back(next.sync, next.seq);
    }
}

}  // namespace curfew
