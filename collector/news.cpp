#include "collector/news.h"

namespace curfew {

/// Workers report in the order of their numbers, and each gets every so-manyth task: what they win
/// joins on to what they won before.
void News::decided(Seq seq, AttemptId winner) {
    if (!decided_.empty() && winner.session != 0) {
        wire::Decided& last = decided_.back();
        const Seq last_seq = last.seq + (last.count - 1) * last.step;
        const bool next = last.session == winner.session && last.number + last.count == winner.number && seq > last_seq;
        if (next && (last.count == 1 || seq - last_seq == last.step)) {
            last.step = seq - last_seq;
            ++last.count;
            return;
        }
    }
    decided_.push_back({seq, winner.session, winner.number, 1, 1});
}

void News::ended(Session session, SessionNews& of, End end, AttemptNumber number) {
    append_number(of.ends[static_cast<std::size_t>(end)], number);
    list(session, of);
}

void News::ended(Session session, SessionNews& of, End end, Interval numbers) {
    of.ends[static_cast<std::size_t>(end)].push_back(numbers);
    list(session, of);
}

void News::returned(Session session, SessionNews& of, AttemptNumber number) {
    append_number(of.returned, number);
    list(session, of);
}

void News::close(Session session, SessionNews& of) {
    write_ends(session, of, rest_);
    std::erase(sessions_, session);
}

void News::write_ends(Session session, SessionNews& of, wire::Writer& writer) {
    for (std::size_t i = 1; i < of.ends.size(); ++i) {
        if (of.ends[i].empty()) continue;
        writer.add(wire::Ended{session, static_cast<End>(i), of.ends[i], {}});
        of.ends[i].clear();
    }
    if (!of.returned.empty()) writer.add(wire::Ended{session, End::cancelled, of.returned, {}, 1});
    of.returned.clear();
    of.is_listed = false;
}

void News::write_decisions(Instant now, BrokerLink& link) {
    if (const auto synced = std::exchange(synced_, std::nullopt)) {
        link.batch().add(*synced);
        link.split(now);
    }
    for (const wire::Decided& decided : decided_) {
        link.batch().add(decided);
        link.split(now);
    }
    decided_.clear();
    for (std::size_t i = 1; i < settled_.size(); ++i) {
        if (settled_[i].empty()) continue;
        link.batch().add(wire::Settled{static_cast<Outcome>(i), settled_[i].intervals()});
        settled_[i].clear();
        link.split(now);
    }
}

void News::write_rest(Instant now, BrokerLink& link) {
    for (wire::Writer& part : full_) {
        link.close_batch(now);
        link.batch().append(part);
    }
    full_.clear();
    if (link.batch().size() + rest_.size() >= wire::kFrameBytes) link.close_batch(now);
    link.batch().append(rest_);
}

void News::clear() {
    synced_.reset();
    decided_.clear();
    for (IntervalSet& seqs : settled_) seqs.clear();
    sessions_.clear();
    full_.clear();
    rest_ = {};
}

}  // namespace curfew
