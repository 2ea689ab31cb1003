// stdout, a pipe, a file. Whole outcomes at a time, so that in a pipe a crash tears none that fits
// into PIPE_BUF; what it tears, the next life cuts off or ends (mark.h).
#pragma once

#include <algorithm>
#include <cstdint>
#include <deque>
#include <string>
#include <string_view>

#include "collector/sinks/disk_space.h"
#include "collector/sinks/mark.h"
#include "collector/sinks/sink.h"

namespace curfew {

class DescriptorSink : public Sink {
public:
    /// Where the bytes go.
    struct Place {
        /// Taken over; -1: `name` is a FIFO, which is opened as soon as somebody reads it.
        int descriptor = -1;
        std::string name{};  ///< for the log
        std::string mark{};  ///< path of the page with the word to the next life; empty: none
        SinkMark::WithoutWord without_word = SinkMark::WithoutWord::leave;
        std::string_view header{};  ///< a line that it begins with: a file where it is empty
    };
    DescriptorSink(const Place& place, Format format);
    ~DescriptorSink() override;
    void put(const OutcomeRecord& outcome) override;
    void flush(Instant now, Written& written) override;
    void forget_waiting() override;
    void wait_for(Poller& poller) override;
    bool close(Instant now, Instant until) override;
    std::string_view waits_for() const override { return space_.waits() ? std::string_view("space") : wait_.what(); }
    Instant next_deadline() const override { return std::min({retry_at_, space_.retry_at(), wait_.next_deadline()}); }
    std::size_t waiting() const override { return pending_.size(); }
    std::size_t waiting_bytes() const override { return formatted_ - written_; }
    std::uint64_t bytes() const override { return written_; }

private:
    struct Pending {
        std::uint64_t end;  // of its bytes, counted from the sink's start
        std::uint64_t sync;
        Seq seq;  // 0: no outcome, but the header, or the newline that ends a torn line
    };
    struct Piece {
        std::size_t size;
        bool whole;  // it begins and ends with an outcome
    };
    void begin_life();
    void write_first(std::string_view text);
    [[nodiscard]] bool open_fifo(Instant now);
    [[nodiscard]] Piece next_piece() const;
    void taken(std::size_t size, Written& written);
    void settle(Written& written);

    Place place_;
    int descriptor_;
    Format format_;
    SinkMark mark_;
    SaidWait wait_;
    std::deque<std::string> chunks_;  // not written yet; an outcome lies within one of them
    std::size_t begin_ = 0;           // of what is left of the first
    std::uint64_t formatted_ = 0;     // bytes, ever
    std::uint64_t written_ = 0;       // of those
    std::uint64_t whole_ = 0;         // of those, up to the end of an outcome
    std::deque<Pending> pending_;
    DiskSpace space_;
    Instant retry_at_ = kNever;  // to open a FIFO
};

/// Opens a file to append to. What is open already (/dev/stdout, /dev/fd/N) is used as it is, so
/// that who else writes to it shares its offset. -1 for a FIFO.
[[nodiscard]] int open_sink_file(const std::string& path);
/// The path is that of a descriptor of this process, which somebody else has opened.
[[nodiscard]] bool is_open_already(const std::string& path);

}  // namespace curfew
