// Messages separated by a byte, from a descriptor: stdin, a file, a FIFO.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "broker/sources/source.h"

namespace curfew {

/// Throws std::system_error on a read error.
class LineSource : public Source {
public:
    /// Takes over the descriptor. `path`: where it was opened, for what is said of it. One of a
    /// FIFO must not block: whoever writes to it may come later.
    LineSource(int descriptor, char separator, std::size_t max_message, std::string path = {});
    ~LineSource() override;

    bool next(Incoming& message) override;
    bool ended() const override { return at_end_ && begin_ == end_; }
    bool has_buffered() const override { return whole() > 0 || regular_ || share_.stopped() || refusal_; }
    void wait_for(Poller& poller) override;
    std::uint64_t refused() const override { return refused_; }
    std::uint64_t bytes_total() const override { return total_; }
    std::uint64_t bytes_read() const override { return taken_; }
    std::string waits_for() const override;
    std::uint64_t left() const override { return regular_ ? 0 : whole() + (has_part() && !skipping_ ? 1 : 0); }
    Rest position() const override;
    Rest rest() override;

private:
    /// Messages in the buffer that have their separator.
    [[nodiscard]] std::size_t whole() const { return separators_.size() - next_separator_; }
    [[nodiscard]] bool take(std::string_view& message);
    void measure_file(Rest& rest) const;
    [[nodiscard]] bool is_empty_device() const;
    void measure_pipe(Rest& rest);
    void skip();
    void refuse_part(std::string_view part);
    void end_refusal(std::uint64_t size);
    bool fill();
    void find_separators(std::size_t from);
    /// Behind them stands a message, or a part of one, without its separator.
    [[nodiscard]] bool has_part() const { return (whole() > 0 ? separators_.back() + 1 : begin_) < end_; }

    int descriptor_;
    char separator_;
    std::size_t max_message_;
    std::string path_;
    bool regular_ = false;      // a file: always readable
    bool unopened_ = false;     // a FIFO, of whose other end we have heard nothing yet
    std::vector<char> buffer_;  // its size is room, what was read ends at end_
    std::size_t begin_ = 0;     // of what has not been handed over
    std::size_t end_ = 0;
    std::vector<std::uint32_t> separators_;  // where they are in the buffer
    std::size_t next_separator_ = 0;         // of them: those before it are behind begin_
    bool at_end_ = false;
    // In the middle of a message over the limit, which is counted already
    bool skipping_ = false;
    std::uint64_t skipped_ = 0;  // of it: no longer in the buffer
    RefusedMessage overlong_;    // what is told of it, once its end is known
    TurnShare share_;
    std::uint64_t refused_ = 0;
    std::uint64_t total_ = 0;
    std::uint64_t taken_ = 0;
    std::uint64_t start_ = 0;     // the offset in the file at which it began
    std::uint64_t messages_ = 0;  // that were handed over or refused, each with its end
};

}  // namespace curfew
