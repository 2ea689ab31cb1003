// Where outcomes go. A sink is given records in the order in which they are to appear and says later which of them it
// has; only those settle.
//
// Owned by the collector's server, on its thread; never blocks: what cannot be written now waits here, and the broker's
// window bounds it. Errors are thrown as std::system_error and end the process (exit 74); a full disk is waited for.
#pragma once

#include <deque>
#include <memory>
#include <string>
#include <utility>
#include <vector>
#include <zmq.hpp>

#include "collector/judge.h"
#include "collector/sink_mark.h"
#include "common/poller.h"
#include "common/socket.h"

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
};

/// stdout, a pipe, a file. Whole outcomes at a time, so that in a pipe a crash tears none that fits into PIPE_BUF; what
/// it tears, the next life cuts off or ends (collector/sink_mark.h).
class DescriptorSink : public Sink {
public:
    /// Where the bytes go.
    struct Place {
        int descriptor = -1;  ///< taken over
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
    Instant next_deadline() const override { return retry_at_; }
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
    [[nodiscard]] Piece next_piece() const;
    [[nodiscard]] bool can_wait(int error, Instant now);
    void taken(std::size_t size, Written& written);
    void settle(Written& written);

    int descriptor_;
    Format format_;
    SinkMark mark_;
    std::deque<std::string> chunks_;  // not written yet; an outcome lies within one of them
    std::size_t begin_ = 0;           // of what is left of the first
    std::uint64_t formatted_ = 0;     // bytes, ever
    std::uint64_t written_ = 0;       // of those
    std::uint64_t whole_ = 0;         // of those, up to the end of an outcome
    std::deque<Pending> pending_;
    Instant retry_at_ = kNever;
    bool full_ = false;
};

/// Opens a file to append to.
[[nodiscard]] int open_sink_file(const std::string& path);

/// A PUSH: an outcome is settled when ZeroMQ has taken it.
class ZmqSink : public Sink {
public:
    ZmqSink(Socket socket, Format format) : socket_(std::move(socket)), format_(format) {}
    void put(const OutcomeRecord& outcome) override;
    void flush(Instant now, Written& written) override;
    void forget_waiting() override;
    Instant next_deadline() const override { return retry_at_; }
    std::size_t waiting() const override { return pending_.size(); }
    std::size_t waiting_bytes() const override { return waiting_bytes_; }
    std::uint64_t bytes() const override { return sent_; }

private:
    struct Pending {
        std::string bytes;
        std::uint64_t sync = 0;
        Seq seq = 0;
    };
    Socket socket_;
    Format format_;
    std::uint64_t sent_ = 0;  // bytes, ever
    std::size_t waiting_bytes_ = 0;
    std::deque<Pending> pending_;
    Instant retry_at_ = kNever;
};

}  // namespace curfew
