#include "worker/supervisor/run.h"

#include <fcntl.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

namespace curfew {
namespace {

constexpr std::size_t kChunk = 64 * 1024;
/// What may still stand in a pipe when nobody writes any more: its size, which is 1 MiB at most.
/// More than this comes from somebody outside the tree who was handed the descriptor.
constexpr std::size_t kMaxLeftInPipe = 2 * 1024 * 1024;

bool set_nonblocking(const OwnedDescriptor& end) {
    return ::fcntl(end.get(), F_SETFL, O_NONBLOCK) == 0;
}

/// One piece of what stands in a pipe.
class Piece {
public:
    explicit Piece(int descriptor) : size_(::read(descriptor, bytes_.data(), bytes_.size())) {}
    [[nodiscard]] bool empty() const { return size_ <= 0; }
    [[nodiscard]] std::string_view text() const { return {bytes_.data(), static_cast<std::size_t>(size_)}; }

private:
    std::array<char, kChunk> bytes_;
    ssize_t size_;
};

}  // namespace

bool Run::open() {
    for (Pipe* pipe : {&in_, &out_, &err_}) {
        int ends[2];
        if (::pipe2(ends, O_CLOEXEC) != 0) return false;
        pipe->read_end.reset(ends[0]);
        pipe->write_end.reset(ends[1]);
    }
    // Our ends only: the command is not prepared for a descriptor that says EAGAIN.
    return set_nonblocking(in_.write_end) && set_nonblocking(out_.read_end) && set_nonblocking(err_.read_end);
}

void Run::begin_input(std::string_view message, std::string_view end) {
    in_.read_end.reset();
    const std::array<iovec, 2> parts{iovec{const_cast<char*>(message.data()), message.size()},
                                     iovec{const_cast<char*>(end.data()), end.size()}};
    const ssize_t n = ::writev(in_.write_end.get(), parts.data(), parts.size());
    const std::size_t written = n > 0 ? static_cast<std::size_t>(n) : 0;
    if (written == message.size() + end.size() || (n < 0 && errno != EAGAIN)) return in_.write_end.reset();
    input_ = message.substr(std::min(written, message.size()));
    input_ += end;
}

void Run::feed_input() {
    const std::string_view rest = std::string_view(input_).substr(written_);
    const ssize_t n = ::write(in_.write_end.get(), rest.data(), rest.size());
    if (n < 0 && errno == EAGAIN) return;
    if (n > 0) written_ += static_cast<std::size_t>(n);
    if (n > 0 && written_ < input_.size()) return;
    in_.write_end.reset();  // all is written, or nobody reads
    input_ = std::string();
}

bool Run::take_output() {
    const Piece piece(out_.read_end.get());
    if (piece.empty()) return false;
    output_ += piece.text();
    return true;
}

bool Run::drop_output() {
    return !Piece(out_.read_end.get()).empty();
}

bool Run::take_errors(const StderrDigest::Emit& emit) {
    const Piece piece(err_.read_end.get());
    if (piece.empty()) return false;
    digest_.take(piece.text(), emit);
    return true;
}

void Run::take_last_errors(const StderrDigest::Emit& emit) {
    for (std::size_t left = 0; left < kMaxLeftInPipe && take_errors(emit); left += kChunk) {
    }
    digest_.finish(emit);
}

bool Run::is_over(std::size_t most) const {
    return output_.size() > most && !(output_.size() == most + 1 && output_.back() == '\n');
}

}  // namespace curfew
