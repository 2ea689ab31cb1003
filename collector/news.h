// What the judge tells the broker of one turn, joined into as few records as will do. Pure.
//
// Order matters to the broker: decisions before what is settled, ends before the echo of a session
// that is gone and before the token that followed them. So decisions, settlements and ends are
// written first, then the rest as it came.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "collector/broker_link.h"
#include "common/tables/interval_set.h"
#include "common/wire/wire_writer.h"
#include "common/words/vocabulary.h"

namespace curfew {

/// The ends of a session's attempts in this turn.
struct SessionNews {
    std::array<Intervals, kEnds + 1> ends;  ///< by End
    Intervals returned;                     ///< they had not begun, and end `cancelled`
    bool is_listed = false;                 ///< it stands in News's list
};

class News {
public:
    /// The sync has been taken over: said before all else.
    void synced(wire::Synced have) { synced_ = std::move(have); }
    void decided(Seq seq, AttemptId winner);
    void settled(Outcome outcome, Seq seq) { settled_[static_cast<std::size_t>(outcome)].insert(seq); }
    void ended(Session session, SessionNews& of, End end, AttemptNumber number);
    void ended(Session session, SessionNews& of, End end, Interval numbers);
    void returned(Session session, SessionNews& of, AttemptNumber number);
    /// What is said as it came: failures, admissions, echoes, tokens.
    template <typename R>
    void say(const R& record) {
        rest_.add(record);
        if (rest_.size() < wire::kFrameBytes) return;
        full_.push_back(std::move(rest_));
        rest_ = {};
    }
    /// The session is about to go: its ends go before what is said of it next.
    void close(Session session, SessionNews& of);

    /// Writes all of it; news_of(session) finds a session's.
    template <typename NewsOf>
    void write(Instant now, BrokerLink& link, NewsOf&& news_of) {
        write_decisions(now, link);
        for (const Session session : sessions_) {
            write_ends(session, news_of(session), link.batch());
            link.split(now);
        }
        sessions_.clear();
        write_rest(now, link);
    }
    void clear();

private:
    static void write_ends(Session session, SessionNews& of, wire::Writer& writer);
    void write_decisions(Instant now, BrokerLink& link);
    void write_rest(Instant now, BrokerLink& link);
    void list(Session session, SessionNews& of) {
        if (!std::exchange(of.is_listed, true)) sessions_.push_back(session);
    }

    std::optional<wire::Synced> synced_;
    std::vector<wire::Decided> decided_;
    std::array<IntervalSet, kOutcomes + 1> settled_;
    std::vector<Session> sessions_;   // those with ends
    std::vector<wire::Writer> full_;  // parts of the rest, as large as a frame
    wire::Writer rest_;
};

}  // namespace curfew
