#include "broker/sources/lines.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/ioctl.h>
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

/// So much of a file is looked through for the number of messages that are left; of more, the bytes
/// are said.
constexpr std::uint64_t kMostCounted = 64ULL << 20;

/// How many messages the file has from there on. Nothing where it cannot be read.
std::optional<std::uint64_t> count_messages(int descriptor, char separator, std::uint64_t from) {
    std::vector<char> chunk(kChunk);
    std::uint64_t count = 0;
    bool part = false;
    for (;;) {
        const ssize_t got = pread(descriptor, chunk.data(), chunk.size(), static_cast<off_t>(from));
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return std::nullopt;
        if (got == 0) return count + (part ? 1 : 0);
        count += static_cast<std::uint64_t>(std::count(chunk.data(), chunk.data() + got, separator));
        part = chunk[static_cast<std::size_t>(got) - 1] != separator;
        from += static_cast<std::uint64_t>(got);
    }
}

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
        start_ = static_cast<std::uint64_t>(at > 0 ? at : 0);
        total_ = static_cast<std::uint64_t>(found.st_size) - start_;
    }
}

LineSource::~LineSource() {
    // A message that is being skipped goes back whole: its tail alone would be a message to who
    // reads on.
    const std::uint64_t untaken = end_ - begin_ + skipped_;
    if (regular_ && untaken != 0) (void)lseek(descriptor_, -static_cast<off_t>(untaken), SEEK_CUR);
    close(descriptor_);
}

bool LineSource::next(Incoming& message) {
    refusal_.reset();
    for (;;) {
        while (whole() > 0 || (at_end_ && begin_ < end_)) {
            if (share_.over()) return false;
            if (take(message.payload)) return true;
            if (refusal_) return false;
        }
        if (skipping_ || end_ - begin_ > max_message_) skip();
        if (at_end_) {
            if (skipping_) end_refusal(skipped_);  // it ended with the source
            return false;
        }
        if (share_.over() || (!fill() && !at_end_)) return false;
    }
}

/// Takes what ends next from the buffer, at the end of the source without a separator. False if it
/// is refused: over the limit, or the rest of what is.
bool LineSource::take(std::string_view& message) {
    const bool last = whole() == 0;
    const std::size_t end = last ? end_ : separators_[next_separator_++];
    message = {buffer_.data() + begin_, end - begin_};
    const bool refused = skipping_ || message.size() > max_message_;
    if (refused) refuse_part(message);
    begin_ = last ? end : end + 1;
    taken_ += message.size() + (last ? 0 : 1);
    share_.take(TurnShare::kOfMessage);
    if (refused) {
        end_refusal(skipped_ + message.size());
    } else {
        ++messages_;
    }
    return !refused;
}

/// The part begins at begin_, and is of a message over the limit: its first or a later one.
void LineSource::refuse_part(std::string_view part) {
    if (!std::exchange(skipping_, true)) {
        ++refused_;
        overlong_ = {.number = messages_ + 1, .byte = start_ + taken_};
    }
    overlong_.first += part.substr(0, RefusedMessage::kFirstBytes - overlong_.first.size());
}

void LineSource::end_refusal(std::uint64_t size) {
    ++messages_;
    skipping_ = false;
    skipped_ = 0;
    overlong_.size = size;
    refusal_ = std::move(overlong_);
}

/// The buffer holds a part, without its end, of a message over the limit: forgets most of it.
void LineSource::skip() {
    refuse_part({buffer_.data() + begin_, end_ - begin_});
    taken_ += end_ - begin_;
    skipped_ += end_ - begin_;
    begin_ = end_ = 0;
}

/// Reads once, when no whole message is left. False if nothing came.
bool LineSource::fill() {
    if (!regular_) {
        pollfd item{descriptor_, POLLIN, 0};
        // A FIFO has its end only behind somebody who wrote to it
        if (poll(&item, 1, 0) <= 0) return false;
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

// ---- what is left ------------------------------------------------------------------------------

Rest LineSource::position() const {
    Rest rest{.kind = separator_ == '\n' ? Rest::Kind::lines : Rest::Kind::records,
              .message = messages_ + 1,
              .byte = start_ + taken_ - skipped_};
    if (ended()) rest.kind = Rest::Kind::none;
    return rest;
}

Rest LineSource::rest() {
    Rest rest = position();
    if (rest.left()) regular_ ? measure_file(rest) : measure_pipe(rest);
    if (rest.bytes == 0U) rest.kind = Rest::Kind::none;  // its end had not been read yet
    return rest;
}

void LineSource::measure_file(Rest& rest) const {
    struct stat found {};
    if (fstat(descriptor_, &found) != 0) return;
    const auto size = static_cast<std::uint64_t>(std::max<off_t>(found.st_size, 0));
    rest.bytes = size - std::min(size, rest.byte);
    if (*rest.bytes <= kMostCounted) rest.messages = count_messages(descriptor_, separator_, rest.byte);
}

/// As /dev/null, which tells it only to who reads.
bool LineSource::is_empty_device() const {
    struct stat found {};
    char byte = 0;
    return fstat(descriptor_, &found) == 0 && S_ISCHR(found.st_mode) && isatty(descriptor_) == 0 &&
           pread(descriptor_, &byte, 1, 0) == 0;
}

/// What is in a pipe is known when nobody can write to it any more. Nothing of it is read: others
/// may want it.
void LineSource::measure_pipe(Rest& rest) {
    pollfd item{descriptor_, POLLIN, 0};
    int unread = 0;
    bool closed = poll(&item, 1, 0) > 0 && (item.revents & POLLHUP) != 0;
    if (!closed && begin_ == end_ && is_empty_device()) closed = at_end_ = true;
    const bool at_end = at_end_ || (closed && ioctl(descriptor_, FIONREAD, &unread) == 0);
    if (!at_end) return;
    rest.bytes = end_ - begin_ + skipped_ + static_cast<std::uint64_t>(unread);
    if (unread == 0) rest.messages = skipping_ ? 1 : left();
}

void LineSource::wait_for(Poller& poller) {
    if (!at_end_) poller.add(descriptor_);
}

}  // namespace curfew
