// Messages separated by a byte, from a descriptor: stdin, a file, a FIFO.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "broker/sources/line_buffer.h"
#include "broker/sources/overlong_message.h"
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
    bool ended() const override { return at_end_ && lines_.empty(); }
    bool has_buffered() const override { return lines_.whole() > 0 || regular_ || share_.stopped() || refusal_; }
    bool knows_what_follows() override;
    void wait_for(Poller& poller) override;
    std::uint64_t refused() const override { return overlong_.count(); }
    std::uint64_t bytes_total() const override { return total_; }
    std::uint64_t bytes_read() const override { return taken_; }
    std::string waits_for() const override;
    std::uint64_t left() const override;
    Rest position() const override;
    Rest rest() override;

private:
    [[nodiscard]] bool take(std::string_view& message);
    void skip(std::string_view part);
    void end_refusal();
    bool fill();
    void measure_file(Rest& rest) const;
    [[nodiscard]] bool is_empty_device() const;
    void measure_pipe(Rest& rest);

    int descriptor_;
    std::string path_;
    bool regular_ = false;   // a file: always readable
    bool unopened_ = false;  // a FIFO, of whose other end we have heard nothing yet
    bool at_end_ = false;
    LineBuffer lines_;
    OverlongMessage overlong_;
    TurnShare share_;
    std::uint64_t total_ = 0;
    std::uint64_t start_ = 0;     // the offset in the file at which it began
    std::uint64_t taken_ = 0;     // bytes from there on that were handed over, refused or skipped
    std::uint64_t messages_ = 0;  // that were handed over or refused, each with its end
};

}  // namespace curfew
