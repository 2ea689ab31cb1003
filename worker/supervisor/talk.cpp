#include "worker/supervisor/talk.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>

namespace curfew {
namespace {

/// Digits of the largest length that is believed.
constexpr std::size_t kMostDigits = 12;

}  // namespace

bool Talk::open() {
    return open_pipes({&in_, &out_, &err_});
}

void Talk::begin() {
    in_.read_end.reset();
    out_.write_end.reset();
    err_.write_end.reset();
}

// ---- asking ------------------------------------------------------------------------------------

void Talk::ask(std::string_view message) {
    asked_.erase(0, written_);  // an answer may come before all of its message was read
    written_ = 0;
    if (framing_ == Framing::netstring) {
        asked_ += std::to_string(message.size());
        asked_ += ':';
    }
    asked_ += message;
    asked_ += framing_ == Framing::netstring ? ',' : '\n';
    feed();
}

void Talk::ask_first(std::string_view message) {
    held_ = true;
    ask(message);
    held_ = asked_.size() > 1;
    feed();
}

bool Talk::has_read() const {
    int left = 0;
    return ::ioctl(in_.write_end.get(), FIONREAD, &left) == 0 && left == 0;
}

void Talk::release() {
    held_ = false;
    feed();
}

void Talk::feed() {
    if (held_ && written_ > 0) return;
    const std::string_view rest = std::string_view(asked_).substr(written_, held_ ? 1 : std::string::npos);
    const ssize_t n = ::write(in_.write_end.get(), rest.data(), rest.size());
    if (n < 0 && errno == EAGAIN) return;
    if (n > 0) written_ += static_cast<std::size_t>(n);
    if (n > 0 && written_ < asked_.size()) return;
    asked_.clear();  // all is written, or nobody reads: its end will tell
    written_ = 0;
}

// ---- listening ---------------------------------------------------------------------------------

Talk::Heard Talk::listen() {
    const Piece piece(out_.read_end.get());
    if (piece.closed()) {
        out_.read_end.reset();
        return Heard::closed;
    }
    if (piece.empty()) return Heard::nothing;
    heard_ += piece.text();
    return parse();
}

Talk::Heard Talk::parse() {
    if (framing_ == Framing::netstring) return parse_netstring();
    const std::size_t end = heard_.find('\n', searched_);
    if (end == std::string::npos) {
        searched_ = heard_.size();
        return heard_.size() > max_answer_ ? Heard::over : Heard::nothing;
    }
    begin_ = 0;
    size_ = end;
    next_ = end + 1;
    return size_ > max_answer_ ? Heard::over : Heard::answer;
}

/// LENGTH:BYTES, (D. J. Bernstein, Netstrings, 1997).
Talk::Heard Talk::parse_netstring() {
    const std::size_t colon = heard_.find(':');
    const std::string_view digits = std::string_view(heard_).substr(0, colon);
    const bool is_number = std::ranges::all_of(digits, [](char c) { return c >= '0' && c <= '9'; });
    const bool leading_zero = digits.size() > 1 && digits.front() == '0';
    if (!is_number || leading_zero || digits.size() > kMostDigits || (colon == 0)) return Heard::broken;
    if (colon == std::string::npos) return Heard::nothing;
    std::from_chars(digits.data(), digits.data() + digits.size(), size_);
    if (size_ > max_answer_) return Heard::over;
    begin_ = colon + 1;
    if (heard_.size() <= begin_ + size_) return Heard::nothing;
    next_ = begin_ + size_ + 1;
    return heard_[next_ - 1] == ',' ? Heard::answer : Heard::broken;
}

std::string Talk::take_answer() {
    std::string answer = heard_.substr(begin_, size_);
    heard_.erase(0, next_);
    searched_ = 0;
    return answer;
}

bool Talk::take_errors(const StderrDigest::Emit& emit) {
    const Piece piece(err_.read_end.get());
    if (piece.closed()) err_.read_end.reset();
    if (piece.empty()) return false;
    digest_.take(piece.text(), emit);
    return true;
}

void Talk::take_last_errors(const StderrDigest::Emit& emit) {
    for (std::size_t left = 0; left < kMaxLeftInPipe && take_errors(emit); left += Piece::kSize) {
    }
    digest_.finish(emit);
}

}  // namespace curfew
