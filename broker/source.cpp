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

LineSource::LineSource(int descriptor, char separator, std::size_t max_message)
    : descriptor_(descriptor), separator_(separator), max_message_(max_message) {
    struct stat found {};
    if (fstat(descriptor_, &found) != 0) throw std::system_error(errno, std::generic_category(), "source");
    if (S_ISDIR(found.st_mode)) throw std::system_error(EISDIR, std::generic_category(), "source");
    regular_ = S_ISREG(found.st_mode);
    if (regular_) {
        const off_t at = lseek(descriptor_, 0, SEEK_CUR);
        total_ = static_cast<std::uint64_t>(found.st_size - (at > 0 ? at : 0));
    }
}

LineSource::~LineSource() {
    if (regular_ && begin_ != end_) (void)lseek(descriptor_, -static_cast<off_t>(end_ - begin_), SEEK_CUR);
    close(descriptor_);
}

bool LineSource::next(std::string_view& message) {
    for (;;) {
        const bool last = whole() == 0 && at_end_ && begin_ < end_;
        if (whole() > 0 || last) {
            const std::size_t end = last ? end_ : separators_[next_separator_++];
            message = {buffer_.data() + begin_, end - begin_};
            begin_ = last ? end : end + 1;
            taken_ += message.size() + (last ? 0 : 1);
            if (!std::exchange(skipping_, false) && message.size() <= max_message_) return true;
            ++refused_;
            continue;
        }
        if (end_ - begin_ > max_message_) {  // too long already: forget it, look for its end
            skipping_ = true;
            taken_ += end_ - begin_;
            begin_ = end_ = 0;
        }
        if (at_end_) {
            if (std::exchange(skipping_, false)) ++refused_;  // it had no end
            return false;
        }
        if (!fill() && !at_end_) return false;
    }
}

/// Reads once, when no whole message is left. False if nothing came.
bool LineSource::fill() {
    if (!regular_) {
        pollfd item{descriptor_, POLLIN, 0};
        if (poll(&item, 1, 0) <= 0) return false;
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
    find_separators(end_ - static_cast<std::size_t>(got));
    if (got == 0) at_end_ = true;
    return got > 0 || end_ > 0;
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

void LineSource::wait_for(Poller& poller) {
    if (!at_end_) poller.add(descriptor_);
}

bool ZmqSource::next(std::string_view& message) {
    while (socket_.receive(message)) {
        if (message.size() <= max_message_) return true;
        ++refused_;
    }
    return false;
}

}  // namespace curfew
