#include "broker/sources/lines.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <span>
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
    : descriptor_(descriptor), path_(std::move(path)), lines_(separator), overlong_(max_message) {
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
    const std::uint64_t untaken = lines_.size() + overlong_.skipped();
    if (regular_ && untaken != 0) (void)lseek(descriptor_, -static_cast<off_t>(untaken), SEEK_CUR);
    close(descriptor_);
}

bool LineSource::next(Incoming& message) {
    refusal_.reset();
    for (;;) {
        while (lines_.whole() > 0 || (at_end_ && !lines_.empty())) {
            if (share_.over()) return false;
            if (take(message.payload)) return true;
            if (refusal_) return false;
        }
        // A part whose end has not come, of a message over the limit: most of it is forgotten
        if (overlong_.refuses(lines_.size())) skip(lines_.take_part());
        if (at_end_) {
            if (overlong_.has_begun()) end_refusal();  // it ended with the source
            return false;
        }
        if (share_.over() || (!fill() && !at_end_)) return false;
    }
}

/// Takes what ends next from the buffer, at the end of the source without a separator. False if it
/// is refused: over the limit, or the rest of what is.
bool LineSource::take(std::string_view& message) {
    const bool last = lines_.whole() == 0;
    message = last ? lines_.take_part() : lines_.take_whole();
    share_.take(TurnShare::kOfMessage);
    const bool refused = overlong_.refuses(message.size());
    if (refused) {
        skip(message);
        end_refusal();
    } else {
        taken_ += message.size();
        ++messages_;
    }
    if (!last) ++taken_;  // the separator
    return !refused;
}

/// The part is of a message over the limit: its first or a later one.
void LineSource::skip(std::string_view part) {
    overlong_.skip(part, messages_ + 1, start_ + taken_);
    taken_ += part.size();
}

void LineSource::end_refusal() {
    refusal_ = overlong_.end();
    ++messages_;
}

/// Reads once, when no whole message is left. False if nothing came.
bool LineSource::fill() {
    if (!regular_) {
        pollfd item{descriptor_, POLLIN, 0};
        // A FIFO has its end only behind somebody who wrote to it
        if (poll(&item, 1, 0) <= 0) return false;
        unopened_ = false;
    }
    const std::span<char> room = lines_.room(kChunk);
    const ssize_t got = read(descriptor_, room.data(), room.size());
    if (got < 0) {
        if (errno == EAGAIN || errno == EINTR) return false;
        throw std::system_error(errno, std::generic_category(), "cannot read the source");
    }
    lines_.came(static_cast<std::size_t>(got));
    share_.take(static_cast<std::size_t>(got));
    if (got == 0) at_end_ = true;
    return got > 0;
}

bool LineSource::knows_what_follows() {
    const auto known = [this] { return at_end_ || !lines_.empty() || overlong_.has_begun(); };
    return known() || (fill(), known());
}

std::string LineSource::waits_for() const {
    return unopened_ ? "somebody who writes to the FIFO " + path_ : std::string();
}

// ---- what is left ------------------------------------------------------------------------------

std::uint64_t LineSource::left() const {
    const bool part = lines_.has_part() && !overlong_.has_begun();
    return regular_ ? 0 : lines_.whole() + (part ? 1 : 0);
}

Rest LineSource::position() const {
    Rest rest{.kind = lines_.separator() == '\n' ? Rest::Kind::lines : Rest::Kind::records,
              .message = messages_ + 1,
              .byte = start_ + taken_ - overlong_.skipped()};
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
    if (*rest.bytes <= kMostCounted) rest.messages = count_messages(descriptor_, lines_.separator(), rest.byte);
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
    if (!closed && lines_.empty() && is_empty_device()) closed = at_end_ = true;
    const bool at_end = at_end_ || (closed && ioctl(descriptor_, FIONREAD, &unread) == 0);
    if (!at_end) return;
    rest.bytes = lines_.size() + overlong_.skipped() + static_cast<std::uint64_t>(unread);
    if (unread == 0) rest.messages = overlong_.has_begun() ? 1 : left();
}

void LineSource::wait_for(Poller& poller) {
    if (!at_end_) poller.add(descriptor_);
}

}  // namespace curfew
