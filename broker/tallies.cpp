#include "broker/tallies.h"

#include <utility>

namespace curfew {
namespace {

void add_up(EndCounts& to, const EndCounts& from) {
    for (std::size_t i = 0; i < to.size(); ++i) to[i] += from[i];
}

/// "exit code 3 after 17 ms" and "exit code 3 after 18 ms" are one reason.
std::string without_numbers(std::string_view text) {
    std::string out;
    bool number = false;
    for (const char c : text.substr(0, Tallies::kReasonBytes)) {
        const bool digit = c >= '0' && c <= '9';
        if (!digit) out += c;
        if (digit && !std::exchange(number, true)) out += '#';
        number = digit;
    }
    return out;
}

}  // namespace

void PoolTally::add(const WorkerSession& worker, const SessionBooks& books) {
    add_up(ends, books.ends);
    add_up(hedge_ends, books.hedge_ends);
    won.add(worker.won);
    others.add(worker.others);
}

void Tallies::failed(End end, std::string_view error, std::string_view worker, Seq seq) {
    const std::string text = std::string(name_of(end)) + ": " + without_numbers(error);
    failures_.add(text, {std::string(worker), seq, std::string(error.substr(0, kReasonBytes))});
}

PoolTally& Tallies::pool(std::map<std::string, PoolTally, std::less<>>& pools, std::string_view name) {
    const auto known = pools.find(name);
    if (known != pools.end()) return known->second;
    return pools[std::string(pools.size() < kMostPools ? name : kOtherPools)];
}

void Tallies::keep(const WorkerSession& worker, const SessionBooks& books) {
    pool(gone_, worker.pool).add(worker, books);
}

std::map<std::string, PoolTally, std::less<>> Tallies::pools(const Roster& roster, const Ledger& ledger) const {
    auto pools = gone_;
    for (const auto& [session, worker] : roster.sessions())
        pool(pools, worker->pool).add(*worker, *ledger.session(session));
    return pools;
}

}  // namespace curfew
