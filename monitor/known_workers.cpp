#include "monitor/known_workers.h"

#include <algorithm>
#include <iterator>
#include <limits>
#include <numeric>
#include <vector>

#include "monitor/fields.h"
#include "monitor/laws.h"
#include "monitor/terminal_text.h"

namespace curfew {
namespace {

using nlohmann::json;

constexpr std::size_t kGone = 64;  // that are remembered

double ends_of(const json& row) {
    return std::accumulate(kEndWords.begin(), kEndWords.end(), 0.0,
                           [&](double sum, const char* end) { return sum + static_cast<double>(count(row, end)); });
}

}  // namespace

void KnownWorkers::add(const Look& look, const json& listed, Instant now) {
    for (auto& [id, worker] : known_) {
        worker.listed = worker.answers = false;
        worker.said = {};
    }
    take_list(listed, now);
    take_stats(look);
    forget(now);
}

void KnownWorkers::take_list(const json& listed, Instant now) {
    if (!listed.is_array()) return;
    for (const json& row : listed) {
        Worker& worker = known_[{field(row, "name").is_string() ? row["name"] : json("-"), count(row, "session")}];
        if (worker.listed_at && now > *worker.listed_at)
            worker.ends_per_s = std::max(0.0, ends_of(row) - ends_of(worker.row)) / seconds(now - *worker.listed_at);
        worker.row = row;
        worker.listed = true;
        worker.listed_at = now;
    }
}

void KnownWorkers::take_stats(const Look& look) {
    for (const auto& [name, said] : look.stats) {
        const bool other = said.is_null() ? name == "broker" || name == "collector" : field(said, "role") != "worker";
        if (other) continue;
        // What it says is of its newest session.
        auto at = known_.upper_bound({name, std::numeric_limits<Session>::max()});
        const bool known = at != known_.begin() && std::prev(at)->first.first == name;
        Worker& worker = known ? std::prev(at)->second : known_[{name, 0}];
        worker.said = said;
        worker.answers = said.is_object();
    }
}

/// A row of an old session where there is a newer; and the longest gone where there are too many.
void KnownWorkers::forget(Instant now) {
    std::map<std::string, bool> present;
    for (const auto& [id, worker] : known_) present[id.first] |= worker.is_here();
    std::vector<std::pair<Instant, Id>> gone;
    for (auto at = known_.begin(); at != known_.end();) {
        Worker& worker = at->second;
        if (!worker.is_here() && present[at->first.first]) {
            at = known_.erase(at);
            continue;
        }
        if (worker.is_here()) worker.gone_at.reset();
        if (!worker.is_here() && !worker.gone_at) worker.gone_at = now;
        if (!worker.is_here()) gone.emplace_back(*worker.gone_at, at->first);
        ++at;
    }
    std::ranges::sort(gone);
    for (std::size_t i = 0; i + kGone < gone.size(); ++i) known_.erase(gone[i].second);
}

std::size_t KnownWorkers::gone() const {
    const auto gone = std::ranges::count_if(known_, [](const auto& item) { return item.second.gone_at.has_value(); });
    return static_cast<std::size_t>(gone);
}

}  // namespace curfew
