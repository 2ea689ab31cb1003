// What is to be published at a queue server, until the server says that it has it. Pure.
//
//     put --> waiting --sent--> in the air --confirmed--> done
//                ^                  |
//                +---- nack, lost --+--returned: an answer that nobody waits for is done; else it waits, for a while
//
// Confirms come in any order, one or all up to a number; the number of a publish counts from 1 on
// each channel. A confirm that does not come is overdue after kPatience: the connection is then to
// be made anew, as one that is lost.
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
    Instant sent_at{};         ///< of what is in the air
};

class Unconfirmed {
public:
    static constexpr std::size_t kMostInAir = 1024;
    static constexpr auto kReturnedAgain = std::chrono::seconds(1);
    static constexpr auto kPatience = std::chrono::seconds(30);

    void put(Outgoing&& outgoing) { waiting_.push_back(std::move(outgoing)); }
    /// The next to be published; null: none, or enough are in the air, or it is too early, or the
    /// server takes nothing.
    [[nodiscard]] const Outgoing* next(Instant now) const;
    /// That one was published.
    void sent(Instant now);
    /// Of the publish with this number, and of all before it.
    void confirmed(Instant now, std::uint64_t number, bool multiple, bool taken);
    void returned(const amqp::Returned& returned);
    /// A new channel: what was in the air goes again, in its order.
    void begin();
    /// The server takes nothing, or does again.
    void block(Instant now, bool blocked);

    [[nodiscard]] std::vector<std::uint64_t> take_done() { return std::exchange(done_, {}); }
    [[nodiscard]] bool empty() const { return waiting_.empty() && in_air_.empty(); }
    /// When next() may have one although the server has said nothing.
    [[nodiscard]] Instant next_deadline() const { return may_send() ? not_before_ : kNever; }
    /// When the oldest in the air has waited for too long, unless it is confirmed before. A server
    /// that takes nothing confirms nothing; once it does again, it has all of kPatience.
    [[nodiscard]] Instant overdue_at() const;
    /// Where no queue has taken what waits now, "exchange/key"; empty: that has not happened.
    [[nodiscard]] std::string returned_to() const { return waiting_.empty() ? std::string() : returned_to_; }
    /// Answers that nobody waited for.
    [[nodiscard]] std::uint64_t unheard() const { return unheard_; }

private:
    [[nodiscard]] bool may_send() const { return !waiting_.empty() && in_air_.size() < kMostInAir && !is_blocked_; }
    void end(Instant now, Outgoing&& outgoing, bool taken);

    std::deque<Outgoing> waiting_;
    std::map<std::uint64_t, Outgoing> in_air_;  // by number
    std::uint64_t last_ = 0;                    // number
    std::vector<std::uint64_t> done_;           // handles, one for each part
    Instant not_before_{};
    bool is_blocked_ = false;
    Instant unblocked_at_{};
    std::uint64_t unheard_ = 0;
    std::string returned_to_;
};

}  // namespace curfew
