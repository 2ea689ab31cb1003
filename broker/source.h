// Where messages come from. A source is asked only while the broker wants a message, so that what is not accepted stays
// where it was: in the pipe, the file, the socket. But for what was read ahead of a pipe, which nobody can put back:
// left() says how many messages that is. A file is given back as far as it was not accepted, to who else reads it.
//
// Owned by the broker's server, on its thread; never blocks. A message over the limit is refused
// and counted as soon as it is known to be, and its rest is skipped; at its end it is handed out as
// a refusal, in its place among the messages. What a turn reads is bounded,
// in messages and in what is skipped: a line of gigabytes, or without an end, holds up nobody.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>
#include <zmq.hpp>

#include "broker/refused_message.h"
#include "common/process/poller.h"
#include "common/process/socket.h"
#include "common/words/vocabulary.h"

namespace curfew {

/// What a turn takes from a source: bytes, and something for each message, so that empty ones end
/// too.
class TurnShare {
public:
    static constexpr std::size_t kBytes = 2 * 1024 * 1024;
    static constexpr std::size_t kOfMessage = 128;

    void take(std::size_t bytes) { left_ -= std::min(left_, bytes); }
    /// The share is used up. The next begins with this answer.
    [[nodiscard]] bool over() {
        over_ = left_ == 0;
        if (over_) left_ = kBytes;
        return over_;
    }
    /// The last answer of over(): the source has stopped, though it may have more.
    [[nodiscard]] bool stopped() const { return over_; }

private:
    std::size_t left_ = kBytes;
    bool over_ = false;
};

/// What a source has that was not taken, when no more will be: for who wants to go on from there.
struct Rest {
    enum class Kind : std::uint8_t { none = 1, lines = 2, records = 3, endless = 4 };  ///< `none`: it is at its end
    Kind kind = Kind::none;
    /// The first message that was neither handed over nor refused: its number, and its offset.
    std::uint64_t message = 1, byte = 0;
    std::optional<std::uint64_t> messages = std::nullopt,
                                 bytes = std::nullopt;  ///< from there to the end, where that is known

    [[nodiscard]] bool left() const { return kind == Kind::lines || kind == Kind::records; }
};

class Source {
public:
    virtual ~Source() = default;
    /// The next message, if there is one now. The view is valid until the next call. False too
    /// where a turn has had its share: has_buffered() says then that there may be more; and where
    /// what came next was refused: see take_refusal().
    [[nodiscard]] virtual bool next(std::string_view& message) = 0;
    /// The message at which the last next() has stopped, if it is refused. Once.
    [[nodiscard]] std::optional<RefusedMessage> take_refusal() { return std::exchange(refusal_, std::nullopt); }
    /// There will be no more.
    [[nodiscard]] virtual bool ended() const = 0;
    /// Something is, or may be, at hand without waiting.
    [[nodiscard]] virtual bool has_buffered() const { return false; }
    /// What wakes the loop when there may be a message.
    virtual void wait_for(Poller& poller) = 0;
    [[nodiscard]] virtual std::uint64_t refused() const = 0;               ///< messages over the limit
    [[nodiscard]] virtual std::uint64_t bytes_total() const { return 0; }  ///< 0: not known
    /// Of messages that were handed over or refused, of the latter as far as they were skipped.
    [[nodiscard]] virtual std::uint64_t bytes_read() const { return 0; }
    /// Messages that were read, one of them perhaps in part, cannot be put back, and are neither
    /// accepted nor refused.
    [[nodiscard]] virtual std::uint64_t left() const { return 0; }
    /// Where it stands, without a look at what follows: its end is known only once it was read.
    [[nodiscard]] virtual Rest position() const = 0;
    /// The same with a look at what follows. To be asked once, when no more is taken.
    [[nodiscard]] virtual Rest rest() { return position(); }
    /// Of a source without an end: what has come is handed out, nothing else comes, and then it has ended. To be called
    /// in each turn from a drain on. Returns when at the latest it wants to be called again; kNever: there is no need.
    virtual Instant hang_up(Instant) { return kNever; }
    [[nodiscard]] virtual std::string endpoint() const { return {}; }
    /// What has to come before there is anything to read at all; empty where nothing has.
    [[nodiscard]] virtual std::string waits_for() const { return {}; }

protected:
    std::optional<RefusedMessage> refusal_;
};

/// Messages separated by a byte, from a descriptor: stdin or a file. Throws std::system_error on a read error.
class LineSource : public Source {
public:
    /// Takes over the descriptor. `path`: where it was opened, for what is said of it. One of a FIFO must not block:
    /// whoever writes to it may come later.
    LineSource(int descriptor, char separator, std::size_t max_message, std::string path = {});
    ~LineSource() override;

    bool next(std::string_view& message) override;
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
    bool skipping_ = false;      // in the middle of a message over the limit, which is counted already
    std::uint64_t skipped_ = 0;  // of it: no longer in the buffer
    RefusedMessage overlong_;    // what is told of it, once its end is known
    TurnShare share_;
    std::uint64_t refused_ = 0;
    std::uint64_t total_ = 0;
    std::uint64_t taken_ = 0;
    std::uint64_t start_ = 0;     // the offset in the file at which it began
    std::uint64_t messages_ = 0;  // that were handed over or refused, each with its end
};

/// One raw message a frame, from any PUSH.
///
/// Hanging up: libzmq has taken messages from the producers that nobody has read yet, and they believe them delivered.
/// So the address is given up first, which keeps newcomers away, then all that comes is read until it is quiet, and
/// then the socket is closed: from there on what a producer sends stays with it, for who binds there next. A producer
/// that is never quiet is cut off, and what it had under way is lost.
class ZmqSource : public Source {
public:
    static constexpr Duration kQuiet = std::chrono::milliseconds(50);
    static constexpr Duration kPatience = std::chrono::milliseconds(500);  ///< with producers that are not quiet

    /// `give_up_address` is called once, with the socket that still is bound there.
    ZmqSource(Socket socket, std::size_t max_message, std::function<void(Socket&)> give_up_address = {})
        : endpoint_(socket.endpoint()),
          socket_(std::move(socket)),
          max_message_(max_message),
          give_up_address_(std::move(give_up_address)) {}
    bool next(std::string_view& message) override;
    bool ended() const override { return !socket_ && kept_.empty(); }
    bool has_buffered() const override { return share_.stopped() || refusal_ || !kept_.empty(); }
    void wait_for(Poller& poller) override {
        if (socket_) poller.add(*socket_);
    }
    std::uint64_t refused() const override { return refused_; }
    std::uint64_t left() const override { return kept_.size(); }
    Rest position() const override { return {.kind = Rest::Kind::endless}; }
    Instant hang_up(Instant now) override;
    std::string endpoint() const override { return endpoint_; }

private:
    [[nodiscard]] bool take(std::string_view& message);

    std::string endpoint_;
    std::optional<Socket> socket_;
    std::size_t max_message_;
    std::function<void(Socket&)> give_up_address_;
    std::deque<std::string> kept_;  // was read while it hung up
    std::string current_;           // of these, the one that is handed out
    Instant hanging_up_since_ = kNever;
    Instant quiet_since_ = kNever;
    TurnShare share_;
    std::uint64_t refused_ = 0;
    std::uint64_t frames_ = 0;  // that have come
};

}  // namespace curfew
