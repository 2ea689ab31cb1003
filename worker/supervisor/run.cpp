#include "worker/supervisor/run.h"

#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

namespace curfew {

bool Run::open() {
    return open_pipes({&in_, &out_, &err_});
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
    for (std::size_t left = 0; left < kMaxLeftInPipe && take_errors(emit); left += Piece::kSize) {
    }
    digest_.finish(emit);
}

bool Run::is_over(std::size_t most) const {
    return output_.size() > most && !(output_.size() == most + 1 && output_.back() == '\n');
}

}  // namespace curfew
