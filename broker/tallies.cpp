#include "broker/tallies.h"

#include <algorithm>

namespace curfew {
namespace {

void add_up(EndCounts& to, const EndCounts& from) {
    for (std::size_t i = 0; i < to.size(); ++i) to[i] += from[i];
}

/// A number behind these says what kind of failure it was.
bool is_told_apart_by_number(std::string_view before) {
    constexpr std::string_view kWords[] = {"exit code ", "status ", "signal "};
    return std::ranges::any_of(kWords, [&](std::string_view words) { return before.ends_with(words); });
}

/// "exit code 3: line 17" and "exit code 3: line 18" are one reason, "exit code 4" is another.
std::string without_numbers(std::string_view text) {
    constexpr std::string_view kDigits = "0123456789";
    text = text.substr(0, Tallies::kReasonBytes);
    std::string out;
    while (!text.empty()) {
        const std::size_t number = std::min(text.find_first_of(kDigits), text.size());
        out += text.substr(0, number);
        text.remove_prefix(number);
        const std::size_t end = std::min(text.find_first_not_of(kDigits), text.size());
        if (end > 0) out += is_told_apart_by_number(out) ? text.substr(0, end) : "#";
        text.remove_prefix(end);
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
    std::string text(name_of(end));
    if (!error.empty()) text += ": " + without_numbers(error);
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
