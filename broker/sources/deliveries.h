// What a queue server has handed over, and is still to be told the end of: which of its messages
// are ours, and under which names it knows them now. The rules are those of AMQP's channels, and of
// races.md, 23 to 25:
//
//     came --new--> in flight --settled--> to be acknowledged --take_acks()--> remembered for a while
//       |               ^
//       +--the same, redelivered: adopted (its tag is replaced, and it does not run twice)
//       +--the same as one that has settled: acknowledged at once
//
// A tag belongs to a generation (a channel), and is never used in a later one: the server would
// close the channel, and hand over all again. What has no id of its sender's cannot be told from
// another of the same bytes: redelivered, it runs again. A question that is asked again, with
// another place for its answer, is another message: else who asks twice would hear nothing.
//
// Memory: what is in flight, and at most Config::most ids that have settled. Pure.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include "common/tables/interval_set.h"
#include "common/words/vocabulary.h"

namespace curfew {

class Deliveries {
public:
    struct Config {
        /// So long an id that has settled is remembered, for what was redelivered meanwhile.
        Duration window = std::chrono::minutes(5);
        std::size_t most = 100'000;  ///< of them
    };
    struct Message {
        std::uint64_t tag = 0;
        std::string_view id{};  ///< the sender's; empty: none
        std::string_view body{};
        std::string_view reply_to{}, correlation_id{};  ///< where an answer is to go
    };
    struct Ack {
        std::uint64_t tag = 0;
        bool multiple = false;  ///< and all before it
        bool rejects = false;   ///< it did not complete: to the queue's dead letters
        bool requeues = false;  ///< with `rejects`: it was not begun, and is for another
        bool operator==(const Ack&) const = default;
    };
    enum class Fate : std::uint8_t {
        completed,  ///< the only one that is remembered: what failed may be tried again
        failed,     ///< acknowledged: somebody else keeps it
        rejected,   ///< for the queue's dead letters
    };
    struct Counts {
        std::uint64_t adopted = 0;  ///< of what came: was in flight here
        std::uint64_t stale = 0;    ///< of what settled: its channel was gone
        std::uint64_t known = 0;    ///< of what came: had settled here
    };

    explicit Deliveries(const Config& config) : config_(config) {}

    /// A new channel: all tags of earlier ones are void.
    void begin_generation();
    /// Whether it is in flight here, or has completed: then there is no more to be done with it. To
    /// be asked as soon as it is there: what settles before is not acknowledged.
    [[nodiscard]] bool knows(Instant now, const Message& message);
    /// The handle of a message that is to be worked on; none: it is known.
    [[nodiscard]] std::optional<std::uint64_t> came(Instant now, const Message& message);
    /// It has its outcome.
    void settled(Instant now, std::uint64_t handle, Fate fate);
    /// That is for others: it is not known any more.
    void forget(std::uint64_t handle);
    /// A message that was never handed on goes back to the server.
    void give_back(std::uint64_t tag);
    /// What is to be said of this generation's tags.
    [[nodiscard]] std::vector<Ack> take_acks();

    [[nodiscard]] std::size_t in_flight() const { return flights_.size(); }
    /// Since when the oldest of them is here.
    [[nodiscard]] std::optional<Instant> oldest() const;
    /// How many of them are here since before that.
    [[nodiscard]] std::size_t older_than(Instant when) const;
    [[nodiscard]] const Counts& counts() const { return counts_; }

private:
    struct Flight {
        Instant since{};
        std::string key;                  // empty: it has no id
        std::uint64_t generation = 0;     // of its tags
        std::vector<std::uint64_t> tags;  // more than one: the sender sent it twice
    };
    void resolve(std::uint64_t tag, bool rejects, bool requeues);
    void remember(Instant now, std::string key);
    void forget_old(Instant now);

    const Config config_;
    std::uint64_t generation_ = 0;
    std::uint64_t last_handle_ = 0;
    std::unordered_map<std::uint64_t, Flight> flights_;       // by handle
    std::unordered_map<std::string, std::uint64_t> handles_;  // by key
    std::deque<std::pair<Instant, std::string>> settled_;     // keys, oldest first
    std::unordered_set<std::string> settled_keys_;
    IntervalSet resolved_;    // tags of this generation that are, or are to be, acknowledged
    std::vector<Ack> ready_;  // to be said
    Counts counts_;
};

}  // namespace curfew
