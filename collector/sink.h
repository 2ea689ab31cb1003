// Where outcomes go. A sink is given records in the order in which they are to appear and says later which of them it
// has; only those settle.
//
// Owned by the collector's server, on its thread; never blocks: what cannot be written now waits here, and the broker's
// window bounds it. Errors are thrown as std::system_error and end the process (exit 74); a full disk is waited for.
#pragma once

#include <algorithm>
#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "collector/judge.h"
#include "collector/sink_mark.h"
#include "common/process/poller.h"

namespace curfew {

/// Appends one record in the sink's form; nothing if the form has nothing for it (a task without a result, in raw).
using Format = void (*)(std::string& out, const OutcomeRecord& outcome);
void append_raw(std::string& out, const OutcomeRecord& outcome);   ///< the result and a newline
void append_json(std::string& out, const OutcomeRecord& outcome);  ///< one line, docs/protocol.md

class Sink {
public:
    using Written = std::vector<std::pair<std::uint64_t, Seq>>;  ///< OutcomeRecord::sync and seq
    virtual ~Sink() = default;
    virtual void put(const OutcomeRecord& outcome) = 0;
    /// Writes what can be written now; appends the tasks whose outcome it has.
    virtual void flush(Instant now, Written& written) = 0;
    /// Forgets the outcomes of which it has written nothing: the judge has begun anew with its broker, and is given
    /// those results again.
    virtual void forget_waiting() = 0;
    /// What wakes the loop when it can go on; nothing when there is nothing to write.
    virtual void wait_for(Poller& poller) { (void)poller; }
    [[nodiscard]] virtual Instant next_deadline() const { return kNever; }
    [[nodiscard]] virtual std::size_t waiting() const = 0;  ///< outcomes it does not have yet
    /// The bytes of those: formatted, and not yet taken by the descriptor or the socket.
    [[nodiscard]] virtual std::size_t waiting_bytes() const = 0;
    [[nodiscard]] virtual std::uint64_t bytes() const = 0;  ///< it has got

    /// Nothing waits, and nothing more will come. Called each turn until it says that all it has is out of its hands;
    /// at `until` the process ends. Throws where some of that is known not to arrive.
    [[nodiscard]] virtual bool close(Instant now, Instant until) {
        (void)now, (void)until;
        return true;
    }
    /// Outcomes that were said to be written, and may not have arrived if it ends now.
    [[nodiscard]] virtual std::uint64_t uncertain() const { return 0; }
    /// What it waits for, in a word or two; empty: nothing.
    [[nodiscard]] virtual std::string_view waits_for() const { return {}; }
};

/// A sink waits for somebody: said after a second, once, and when it is over.
class SaidWait {
public:
    explicit SaidWait(std::string sink) : sink_(std::move(sink)) {}
    void waits(Instant now, std::string_view what, std::string_view advice);
    void over(Instant now);
    [[nodiscard]] std::string_view what() const { return what_; }
    [[nodiscard]] Instant next_deadline() const { return what_.empty() || said_ ? kNever : since_ + kPatience; }

private:
    static constexpr auto kPatience = std::chrono::seconds(1);
    std::string sink_;
    std::string_view what_;  // a literal
    Instant since_{};
    bool said_ = false;
};

/// stdout, a pipe, a file. Whole outcomes at a time, so that in a pipe a crash tears none that fits into PIPE_BUF; what
/// it tears, the next life cuts off or ends (collector/sink_mark.h).
class DescriptorSink : public Sink {
public:
    /// Where the bytes go.
    struct Place {
        int descriptor = -1;  ///< taken over; -1: `name` is a FIFO, which is opened as soon as somebody reads it
        std::string name{};   ///< for the log
        std::string mark{};   ///< path of the page with the word to the next life; empty: none
        SinkMark::WithoutWord without_word = SinkMark::WithoutWord::leave;
    };
    DescriptorSink(const Place& place, Format format);
    ~DescriptorSink() override;
    void put(const OutcomeRecord& outcome) override;
    void flush(Instant now, Written& written) override;
    void forget_waiting() override;
    void wait_for(Poller& poller) override;
    bool close(Instant now, Instant until) override;
    std::string_view waits_for() const override { return full_ ? std::string_view("space") : wait_.what(); }
    Instant next_deadline() const override { return std::min(retry_at_, wait_.next_deadline()); }
    std::size_t waiting() const override { return pending_.size(); }
    std::size_t waiting_bytes() const override { return formatted_ - written_; }
    std::uint64_t bytes() const override { return written_; }

private:
    struct Pending {
        std::uint64_t end;  // of its bytes, counted from the sink's start
        std::uint64_t sync;
        Seq seq;  // 0: no outcome, the newline that ends a torn line
    };
    struct Piece {
        std::size_t size;
        bool whole;  // it begins and ends with an outcome
    };
    void begin_life();
    [[nodiscard]] bool open_fifo(Instant now);
    [[nodiscard]] Piece next_piece() const;
    [[nodiscard]] bool can_wait(int error, Instant now);
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
    Instant retry_at_ = kNever;
    bool full_ = false;
};

/// Opens a file to append to. What is open already (/dev/stdout, /dev/fd/N) is used as it is, so that who else writes
/// to it shares its offset. -1 for a FIFO.
[[nodiscard]] int open_sink_file(const std::string& path);
/// The path is that of a descriptor of this process, which somebody else has opened.
[[nodiscard]] bool is_open_already(const std::string& path);

}  // namespace curfew
