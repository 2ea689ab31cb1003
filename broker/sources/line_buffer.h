// What was read of a source and is not taken yet, cut at its separators: whole messages, and behind
// them a part of one, whose separator has not come. It is read to when no message is whole. Pure.
//
//     | taken | whole | whole | ... | part | room |
//
// Memory: what was read at once, and what came before of a message without its separator.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

namespace curfew {

class LineBuffer {
public:
    explicit LineBuffer(char separator) : separator_(separator) {}

    /// Where so much may be read to, when no message is whole; came() says how much it was. What
    /// was taken before is no longer there.
    [[nodiscard]] std::span<char> room(std::size_t bytes);
    void came(std::size_t bytes);

    /// The next whole message, without its separator.
    [[nodiscard]] std::string_view take_whole() {
        const std::size_t begin = std::exchange(begin_, separators_[next_separator_] + 1);
        return {buffer_.data() + begin, separators_[next_separator_++] - begin};
    }
    /// All there is, when no message is whole.
    [[nodiscard]] std::string_view take_part() {
        const std::string_view part(buffer_.data() + begin_, size());
        begin_ = end_ = 0;
        return part;
    }

    /// How many messages have their separator.
    [[nodiscard]] std::size_t whole() const { return separators_.size() - next_separator_; }
    /// Behind them stands a message, or a part of one, without its separator.
    [[nodiscard]] bool has_part() const { return (whole() > 0 ? separators_.back() + 1 : begin_) < end_; }
    /// Bytes that are not taken.
    [[nodiscard]] std::size_t size() const { return end_ - begin_; }
    [[nodiscard]] bool empty() const { return size() == 0; }
    [[nodiscard]] char separator() const { return separator_; }

private:
    char separator_;
    std::vector<char> buffer_;  // its size is room, what was read ends at end_
    std::size_t begin_ = 0;     // of what is not taken
    std::size_t end_ = 0;
    std::vector<std::uint32_t> separators_;  // where they are in the buffer
    std::size_t next_separator_ = 0;         // of them: those before it are behind begin_
};

}  // namespace curfew
