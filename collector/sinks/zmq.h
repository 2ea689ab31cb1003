// A PUSH that connects to who binds a PULL, one outcome a frame. What it promises: an outcome is
// settled when ZeroMQ has taken it, which it does only while a reader is connected; when a reader
// goes away after he was sent something, or what was taken does not leave by the end, it says how
// many outcomes may not have arrived, and fails (74). A PUSH is not answered, so no lesser number
// is known than all that this connection was given.
//
//     no reader    outcomes wait here, and count as waiting; after a second that is said
//     a reader     libzmq holds up to kSendMark frames, and what it has begun to write; then outcomes wait here
//     end          the socket lingers, then the kernel's buffer is waited for: nobody reads it once we are gone
//
// Owned by the collector's server, on its thread; never blocks.
#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <string>

#include "collector/sinks/sink.h"
#include "common/process/peer_watch.h"
#include "common/process/socket.h"

namespace curfew {

class ZmqSink : public Sink {
public:
    /// Small, so that what is not sent is ours, and the broker hears of it; a smaller one costs
    /// messages a second.
    static constexpr int kSendMark = 256;

    /// `watch` is that of the socket.
    ZmqSink(std::unique_ptr<PeerWatch> watch, Socket socket, Format format);
    ~ZmqSink() override;
    void put(const OutcomeRecord& outcome) override;
    void flush(Instant now, Written& written) override;
    void forget_waiting() override;
    void wait_for(Poller& poller) override;
    bool close(Instant now, Instant until) override;
    std::uint64_t uncertain() const override { return closed_ ? 0 : given_; }
    std::string_view waits_for() const override { return wait_.what(); }
    Instant next_deadline() const override;
    std::size_t waiting() const override { return pending_.size(); }
    std::size_t waiting_bytes() const override { return waiting_bytes_ + held_bytes(); }
    std::uint64_t bytes() const override { return sent_; }

private:
    struct Pending {
        std::string bytes;
        std::uint64_t sync = 0;
        Seq seq = 0;
    };
    void look_at_reader(Instant now);
    [[noreturn]] void reader_has_gone() const;
    [[nodiscard]] bool send(std::string_view bytes);
    [[nodiscard]] std::size_t held_bytes() const;
    [[nodiscard]] bool has_left() const;

    std::unique_ptr<PeerWatch> watch_;  // outlives the socket
    std::optional<Socket> socket_;
    Format format_;
    std::string endpoint_;
    std::uint64_t sent_ = 0;   // bytes, ever
    std::uint64_t given_ = 0;  // outcomes, to this reader
    std::size_t waiting_bytes_ = 0;
    std::deque<Pending> pending_;
    std::deque<std::size_t> last_sizes_;  // of the frames that libzmq may hold
    bool full_ = false;                   // libzmq takes no more
    SaidWait wait_;
    Instant retry_at_ = kNever;
    bool closed_ = false;
};

}  // namespace curfew
