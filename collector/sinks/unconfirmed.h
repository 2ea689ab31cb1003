// What is to be published at a queue server, until the server says that it has it. Pure.
//
//     put --> waiting --sent--> in the air --confirmed--> done
//                ^                  |
//                +---- nack, lost --+--returned: an answer that nobody waits for is done; else it waits, for a while
//
// Confirms come in any order, one or all up to a number; the number of a publish counts from 1 on
// each channel. A confirm that does not come is overdue after kPatience: the connection is then to
// be made anew, as one that is lost.
//
// One that the server refuses holds up no other, and makes no other go twice:
//
//     an outcome, nack           a new channel, when all else in the air is confirmed
//     an answer, nack            again after kReturnedAgain, kMostNacks times, at last on a newer
//                                channel (one each kNewerAgain); then it is left
//     the server closes          what was in the air goes one by one; an answer on which it closes
//                                kMostCloses times more is left, an outcome is parked: one of those
//                                goes again each kRefusedAgain
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "common/amqp/connection.h"
#include "common/words/vocabulary.h"

namespace curfew {

struct Outgoing {
    std::uint64_t handle = 0;  ///< of the outcome that it is a part of
    std::string exchange{}, key{};
    amqp::Properties properties{};
    std::string body{};
    std::string task{};        ///< as the header of that name
    bool is_answer = false;    ///< who asked may have gone
    bool is_returned = false;  ///< by the server, just now
    bool goes_alone = false;   ///< it may be why the server has closed a channel
    std::uint32_t nacks = 0, closes = 0;
    std::uint64_t nacked_on = 0;  ///< the channel of the first of those
    std::string refusal{};        ///< what the server has said of one that was parked
    Instant sent_at{};            ///< of what is in the air
};

class Unconfirmed {
public:
    static constexpr std::size_t kMostInAir = 1024;
    static constexpr auto kReturnedAgain = std::chrono::seconds(1);
    static constexpr auto kRefusedAgain = std::chrono::seconds(60);
    static constexpr auto kNewerAgain = std::chrono::seconds(30);
    static constexpr auto kPatience = std::chrono::seconds(30);
    static constexpr auto kDrain = std::chrono::seconds(2);  ///< for other confirms, after a nack
    static constexpr std::uint32_t kMostNacks = 5, kMostCloses = 2;

    void put(Outgoing&& outgoing) { waiting_.push_back(std::move(outgoing)); }
    /// The next to be published; null: none, or enough are in the air, or it is too early, or the
    /// server takes nothing.
    [[nodiscard]] const Outgoing* next(Instant now);
    /// That one goes out now: it is in the air, whatever becomes of it. Valid until something is
    /// heard.
    const Outgoing& sent(Instant now);
    /// The last that was sent is out of our hands: from now on a confirm is waited for.
    void written(Instant now);
    /// Of the publish with this number, and of all before it.
    void confirmed(Instant now, std::uint64_t number, bool multiple, bool taken);
    void returned(const amqp::Returned& returned);
    /// The server has closed the channel or the connection, and says why: it may be for what was
    /// in the air.
    void closed(Instant now, const std::string& why);
    /// A new channel: what was in the air goes again, in its order.
    void begin();
    /// The server takes nothing, or does again.
    void block(Instant now, bool blocked);

    [[nodiscard]] std::vector<std::uint64_t> take_done() { return std::exchange(done_, {}); }
    [[nodiscard]] bool empty() const {
        return waiting_.empty() && in_air_.empty() && later_.empty() && parked_.empty();
    }
    /// When next() may have one, or wants_channel() may come to hold, although the server has said
    /// nothing.
    [[nodiscard]] Instant next_deadline() const;
    /// Another channel is wanted: this one's server has refused an outcome.
    [[nodiscard]] bool wants_channel(Instant now) const {
        return renews_by_ != kNever && (in_air_.empty() || (now >= renews_by_ && !is_blocked_));
    }
    /// When the oldest in the air has waited for too long, unless it is confirmed before. A server
    /// that takes nothing confirms nothing; once it does again, it has all of kPatience.
    [[nodiscard]] Instant overdue_at() const;
    /// Where no queue has taken what waits now, "exchange/key"; empty: that has not happened.
    [[nodiscard]] std::string returned_to() const { return waiting_.empty() ? std::string() : returned_to_; }
    /// An outcome that waits because the server closes what it is published on, and what it says;
    /// empty: none does.
    [[nodiscard]] std::string refused() const;
    /// Answers that nobody waited for, or that the server refuses.
    [[nodiscard]] std::uint64_t unheard() const { return unheard_; }
    /// The last of those that the server refuses, and what it says; empty: none.
    [[nodiscard]] const std::string& refused_answer() const { return refused_answer_; }

private:
    [[nodiscard]] bool may_send() const;
    void take(Instant now, Outgoing&& outgoing, std::vector<Outgoing>& again);
    void refuse(Instant now, Outgoing&& outgoing, std::vector<Outgoing>& again);
    void leave(const Outgoing& answer, const std::string& why);

    std::deque<Outgoing> waiting_;
    std::map<std::uint64_t, Outgoing> in_air_;  // by number
    std::multimap<Instant, Outgoing> later_;    // refused answers, by when they go again
    std::deque<Outgoing> parked_;               // outcomes on which the server closes
    Instant unparks_at_ = kNever;               // the first of those
    std::uint64_t last_ = 0;                    // number
    std::vector<std::uint64_t> done_;           // handles, one for each part
    Instant not_before_{};
    Instant renews_by_ = kNever;
    std::uint64_t channel_ = 0;
    Instant newer_after_{};  // another channel for an answer, no earlier
    bool is_blocked_ = false, was_closed_ = false;
    Instant unblocked_at_{};
    std::uint64_t unheard_ = 0;
    std::string returned_to_, refused_answer_;
};

}  // namespace curfew
