#include "broker/sources/line_buffer.h"

#include <cstring>

namespace curfew {

std::span<char> LineBuffer::room(std::size_t bytes) {
    if (begin_ != 0) {
        std::memmove(buffer_.data(), buffer_.data() + begin_, size());
        end_ -= std::exchange(begin_, 0);
    }
    if (buffer_.size() - end_ < bytes) buffer_.resize(end_ + bytes);
    return {buffer_.data() + end_, bytes};
}

void LineBuffer::came(std::size_t bytes) {
    std::size_t from = std::exchange(end_, end_ + bytes);
    separators_.clear();
    next_separator_ = 0;
    while (const void* found = std::memchr(buffer_.data() + from, separator_, end_ - from)) {
        const auto at = static_cast<std::size_t>(static_cast<const char*>(found) - buffer_.data());
        separators_.push_back(static_cast<std::uint32_t>(at));
        from = at + 1;
    }
}

}  // namespace curfew
