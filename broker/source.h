// Where messages come from. A source is asked only while the broker wants a message, so that what is not accepted stays
// where it was: in the pipe, the file, the socket. But for what was read ahead of a pipe, which nobody can put back:
// left() says how many messages that is. A file is given back as far as it was not accepted, to who else reads it.
//
// Owned by the broker's server, on its thread; never blocks. A message over the limit is refused and counted, the rest
// goes on.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>
#include <zmq.hpp>

#include "common/poller.h"
#include "common/socket.h"

namespace curfew {

class Source {
public:
    virtual ~Source() = default;
    /// The next message, if there is one now. The view is valid until the next call.
    [[nodiscard]] virtual bool next(std::string_view& message) = 0;
    /// There will be no more.
    [[nodiscard]] virtual bool ended() const = 0;
    /// Something is at hand without waiting.
    [[nodiscard]] virtual bool has_buffered() const { return false; }
    /// What wakes the loop when there may be a message.
    virtual void wait_for(Poller& poller) = 0;
    [[nodiscard]] virtual std::uint64_t refused() const = 0;               ///< messages over the limit
    [[nodiscard]] virtual std::uint64_t bytes_total() const { return 0; }  ///< 0: not known
    [[nodiscard]] virtual std::uint64_t bytes_read() const { return 0; }   ///< of messages that were handed over
    /// Messages that were read, one of them perhaps in part, cannot be put back, and are not accepted yet.
    [[nodiscard]] virtual std::uint64_t left() const { return 0; }
    [[nodiscard]] virtual std::string endpoint() const { return {}; }
};

/// Messages separated by a byte, from a descriptor: stdin or a file. Throws std::system_error on a read error.
class LineSource : public Source {
public:
    /// Takes over the descriptor.
    LineSource(int descriptor, char separator, std::size_t max_message);
    ~LineSource() override;

    bool next(std::string_view& message) override;
    bool ended() const override { return at_end_ && begin_ == end_; }
    bool has_buffered() const override { return whole() > 0 || regular_; }
    void wait_for(Poller& poller) override;
    std::uint64_t refused() const override { return refused_; }
    std::uint64_t bytes_total() const override { return total_; }
    std::uint64_t bytes_read() const override { return taken_; }
    std::uint64_t left() const override { return regular_ ? 0 : whole() + (has_part() && !skipping_ ? 1 : 0); }

private:
    /// Messages in the buffer that have their separator.
    [[nodiscard]] std::size_t whole() const { return separators_.size() - next_separator_; }
    bool fill();
    void find_separators(std::size_t from);
    /// Behind them stands a message, or a part of one, without its separator.
    [[nodiscard]] bool has_part() const { return (whole() > 0 ? separators_.back() + 1 : begin_) < end_; }

    int descriptor_;
    char separator_;
    std::size_t max_message_;
    bool regular_ = false;      // a file: always readable
    std::vector<char> buffer_;  // its size is room, what was read ends at end_
    std::size_t begin_ = 0;     // of what has not been handed over
    std::size_t end_ = 0;
    std::vector<std::uint32_t> separators_;  // where they are in the buffer
    std::size_t next_separator_ = 0;         // of them: those before it are behind begin_
    bool at_end_ = false;
    bool skipping_ = false;  // in the middle of a message over the limit
    std::uint64_t refused_ = 0;
    std::uint64_t total_ = 0;
    std::uint64_t taken_ = 0;
};

/// One raw message a frame, from any PUSH.
class ZmqSource : public Source {
public:
    ZmqSource(Socket socket, std::size_t max_message) : socket_(std::move(socket)), max_message_(max_message) {}
    bool next(std::string_view& message) override;
    bool ended() const override { return false; }
    void wait_for(Poller& poller) override { poller.add(socket_); }
    std::uint64_t refused() const override { return refused_; }
    std::string endpoint() const override { return socket_.endpoint(); }

private:
    Socket socket_;
    std::size_t max_message_;
    std::uint64_t refused_ = 0;
};

}  // namespace curfew
