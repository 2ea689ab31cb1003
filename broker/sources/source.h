// Where messages come from. A source is asked only while the broker wants a message, so that what
// is not accepted stays where it was: in the pipe, the file, the socket. But for what was read
// ahead of a pipe, which nobody can put back: left() says how many messages that is. A file is
// given back as far as it was not accepted, to who else reads it.
//
// Owned by the broker's server, on its thread; never blocks. A message over the limit is refused
// and counted as soon as it is known to be, and its rest is skipped; at its end it is handed out as
// a refusal, in its place among the messages. What a turn reads is bounded,
// in messages and in what is skipped: a line of gigabytes, or without an end, holds up nobody.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "broker/incoming.h"
#include "broker/refused_message.h"
#include "broker/settled_tag.h"
#include "common/look/json_object.h"
#include "common/process/poller.h"
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
    /// `none`: it is at its end. `queue`: without an end, and it has again what was handed over and
    /// not acknowledged.
    enum class Kind : std::uint8_t { none = 1, lines = 2, records = 3, endless = 4, queue = 5 };
    Kind kind = Kind::none;
    /// The first message that was neither handed over nor refused: its number, and its offset.
    std::uint64_t message = 1, byte = 0;
    std::optional<std::uint64_t> messages = std::nullopt,
                                 /// From there to the end, where that is known.
        bytes = std::nullopt;

    [[nodiscard]] bool left() const { return kind == Kind::lines || kind == Kind::records; }
    [[nodiscard]] bool has_end() const { return kind != Kind::endless && kind != Kind::queue; }
};

class Source {
public:
    virtual ~Source() = default;
    /// The next message, if there is one now. The view is valid until the next call. False too
    /// where a turn has had its share: has_buffered() says then that there may be more; and where
    /// what came next was refused: see take_refusal().
    [[nodiscard]] virtual bool next(Incoming& message) = 0;
    /// The message at which the last next() has stopped, if it is refused. Once.
    [[nodiscard]] std::optional<RefusedMessage> take_refusal() { return std::exchange(refusal_, std::nullopt); }
    /// There will be no more.
    [[nodiscard]] virtual bool ended() const = 0;
    /// Something is, or may be, at hand without waiting.
    [[nodiscard]] virtual bool has_buffered() const { return false; }
    /// The outcomes of these messages, and of refusals, are with the sink: whoever gave them away
    /// may forget them. Only for those that were handed over with a tag; in the order in which they
    /// settled.
    virtual void settled(Instant now, std::span<const SettledTag> tags) { (void)now, (void)tags; }
    /// When it wants to be told how many messages can be worked on at a time, which expect() does:
    /// of one that asks for messages before they are wanted. 0: none is wanted for now.
    [[nodiscard]] virtual Instant asks_at() const { return kNever; }
    virtual void expect(Instant now, std::size_t messages) { (void)now, (void)messages; }
    /// Nothing is in flight, and no more is taken. Called in each turn until it says that what is
    /// left to be said to those who gave messages away is out of its hands.
    [[nodiscard]] virtual bool let_go(Instant now) {
        (void)now;
        return true;
    }
    /// What it has handed over is for others now: it is to be ended, and nothing said of it.
    [[nodiscard]] virtual bool takes_back(Instant now) {
        (void)now;
        return false;
    }
    /// That has been done with these.
    virtual void taken_back(std::span<const std::uint64_t> tags) { (void)tags; }
    /// For the monitor, what there is to say beyond what all have.
    virtual void describe(Instant now, JsonObject& out) const { (void)now, (void)out; }
    /// While no message is wanted: whether it is known that there is another, or that there is
    /// none. Where it is not, reads on as far as it can without a wait; nothing is handed over.
    [[nodiscard]] virtual bool knows_what_follows() { return true; }
    /// What wakes the loop when there may be a message.
    virtual void wait_for(Poller& poller) = 0;
    /// Messages over the limit.
    [[nodiscard]] virtual std::uint64_t refused() const = 0;
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
    /// Of a source without an end: what has come is handed out, nothing else comes, and then it has
    /// ended. To be called in each turn from a drain on. Returns when at the latest it wants to be
    /// called again; kNever: there is no need.
    virtual Instant hang_up(Instant) { return kNever; }
    [[nodiscard]] virtual std::string endpoint() const { return {}; }
    /// What has to come before there is anything to read at all; empty where nothing has.
    [[nodiscard]] virtual std::string waits_for() const { return {}; }

protected:
    std::optional<RefusedMessage> refusal_;
};

}  // namespace curfew
