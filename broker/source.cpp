#include "broker/source.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <system_error>
#include <utility>

namespace curfew {
namespace {

/// Small enough to stay in the cache until its messages are accepted.
constexpr std::size_t kChunk = 64 * 1024;

}  // namespace

LineSource::LineSource(int descriptor, char separator, std::size_t max_message, std::string path)
    : descriptor_(descriptor), separator_(separator), max_message_(max_message), path_(std::move(path)) {
    struct stat found {};
    if (fstat(descriptor_, &found) != 0) throw std::system_error(errno, std::generic_category(), "source");
    if (S_ISDIR(found.st_mode)) throw std::system_error(EISDIR, std::generic_category(), "source");
    regular_ = S_ISREG(found.st_mode);
    unopened_ = S_ISFIFO(found.st_mode) && !path_.empty();
    if (regular_) {
        const off_t at = lseek(descriptor_, 0, SEEK_CUR);
        total_ = static_cast<std::uint64_t>(found.st_size - (at > 0 ? at : 0));
    }
}

LineSource::~LineSource() {
    // A message that is being skipped goes back whole: its tail alone would be a message to who
    // reads on.
    const std::uint64_t untaken = end_ - begin_ + skipped_;
    if (regular_ && untaken != 0) (void)lseek(descriptor_, -static_cast<off_t>(untaken), SEEK_CUR);
    close(descriptor_);
}

bool LineSource::next(std::string_view& message) {
    for (;;) {
        while (whole() > 0 || (at_end_ && begin_ < end_)) {
            if (share_.over()) return false;
            if (take(message)) return true;
        }
        if (skipping_ || end_ - begin_ > max_message_) skip();
        if (at_end_) {
            skipped_ = 0;  // what was being skipped ended with the source
            return false;
        }
        if (share_.over() || (!fill() && !at_end_)) return false;
    }
}

/// Takes what ends next from the buffer, at the end of the source without a separator. False if it
/// is no message, but over the limit, or the rest of what is.
bool LineSource::take(std::string_view& message) {
    const bool last = whole() == 0;
    const std::size_t end = last ? end_ : separators_[next_separator_++];
    message = {buffer_.data() + begin_, end - begin_};
    begin_ = last ? end : end + 1;
    taken_ += message.size() + (last ? 0 : 1);
    share_.take(TurnShare::kOfMessage);
    skipped_ = 0;
    if (std::exchange(skipping_, false)) return false;
    if (message.size() > max_message_) {
        ++refused_;
        return false;
    }
    return true;
}

/// The buffer holds a part, without its end, of a message over the limit: forgets it.
void LineSource::skip() {
    if (!std::exchange(skipping_, true)) ++refused_;
    taken_ += end_ - begin_;
    skipped_ += end_ - begin_;
    begin_ = end_ = 0;
}

/// Reads once, when no whole message is left. False if nothing came.
bool LineSource::fill() {
    if (!regular_) {
        pollfd item{descriptor_, POLLIN, 0};
        if (poll(&item, 1, 0) <= 0) return false;  // a FIFO has its end only behind somebody who wrote to it
        unopened_ = false;
    }
    if (begin_ != 0) {
        std::memmove(buffer_.data(), buffer_.data() + begin_, end_ - begin_);
        end_ -= begin_;
        begin_ = 0;
    }
    if (buffer_.size() - end_ < kChunk) buffer_.resize(end_ + kChunk);
    const ssize_t got = read(descriptor_, buffer_.data() + end_, kChunk);
    if (got < 0) {
        if (errno == EAGAIN || errno == EINTR) return false;
        throw std::system_error(errno, std::generic_category(), "cannot read the source");
    }
    end_ += static_cast<std::size_t>(got);
    share_.take(static_cast<std::size_t>(got));
    find_separators(end_ - static_cast<std::size_t>(got));
    if (got == 0) at_end_ = true;
    return got > 0;
}

void LineSource::find_separators(std::size_t from) {
    separators_.clear();
    next_separator_ = 0;
    while (const void* found = std::memchr(buffer_.data() + from, separator_, end_ - from)) {
        const auto at = static_cast<std::size_t>(static_cast<const char*>(found) - buffer_.data());
        separators_.push_back(static_cast<std::uint32_t>(at));
        from = at + 1;
    }
}

std::string LineSource::waits_for() const {
    return unopened_ ? "somebody who writes to the FIFO " + path_ : std::string();
}

void LineSource::wait_for(Poller& poller) {
    if (!at_end_) poller.add(descriptor_);
}

bool ZmqSource::next(std::string_view& message) {
    while (!share_.over() && socket_.receive(message)) {
        share_.take(message.size() + TurnShare::kOfMessage);
        if (message.size() <= max_message_) return true;
        ++refused_;
    }
    return false;
}

}  // namespace curfew
