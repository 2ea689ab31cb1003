#include "monitor/group.h"

#include <algorithm>
#include <map>
#include <numeric>
#include <set>
#include <stdexcept>

namespace curfew {
namespace {

using nlohmann::json;

/// Session and number: what an attempt is called by both sides.
using Key = std::pair<std::uint64_t, std::uint64_t>;

Key key_of(const json& row) {
    return {row.value("session", std::uint64_t{0}), row.value("number", std::uint64_t{0})};
}

/// Counts by pool and state, of several workers.
class Places {
public:
    void add(const std::string& pool, const std::string& state, std::uint64_t count, double oldest) {
        if (count == 0) return;
        auto& [all, age] = places_[{pool, state}];
        all += count;
        age = std::max(age, oldest);
    }
    [[nodiscard]] json rows() const {
        json rows = json::array();
        for (const auto& [place, group] : places_) {
            rows.push_back(
                {{"pool", place.first}, {"state", place.second}, {"count", group.first}, {"oldest_s", group.second}});
        }
        std::stable_sort(rows.begin(), rows.end(),
                         [](const json& a, const json& b) { return a["count"] > b["count"]; });
        return rows;
    }

private:
    std::map<std::pair<std::string, std::string>, std::pair<std::uint64_t, double>> places_;
};

json groups_of(const json& broker, const std::map<std::string, const json*>& workers, bool part) {
    Places places;
    std::map<std::string, std::uint64_t> held;
    for (const auto& [name, dump] : workers) {
        for (const json& group : dump->value("groups", json::array())) {
            places.add(group.value("pool", ""), group.value("state", ""), group.value("count", std::uint64_t{0}),
                       group.value("oldest_s", 0.0));
            held[name] += group.value("count", std::uint64_t{0});
        }
    }
    for (const json& group : broker.value("groups", json::array())) {
        const std::string worker = group.value("worker", "");
        const std::string pool = group.value("pool", "");
        const std::uint64_t count = group.value("count", std::uint64_t{0});
        if (!workers.contains(worker)) {
            places.add(pool, group.value("state", ""), count, group.value("oldest_s", 0.0));
        } else if (!part) {
            // What it does not hold is on its way to it, or its report on the way back.
            const std::uint64_t known = std::min(count, held[worker]);
            held[worker] -= known;
            places.add(pool, "in transit", count - known, 0);
        }
    }
    return places.rows();
}

}  // namespace

std::vector<Target> Group::targets() {
    std::vector<Target> targets;
    if (endpoint_.empty()) {
        try {
            targets = targets_in(run_dir_);
        } catch (const std::runtime_error&) {
            if (known_.empty()) throw;
        }
    } else {
        targets = {{"the process", endpoint_}};
    }
    for (const Target& target : known_) {
        // A worker that leaves takes its socket along, one that is killed does not.
        if (target.name != "broker" && target.name != "collector") continue;
        if (std::ranges::find(targets, target.name, &Target::name) == targets.end()) targets.push_back(target);
    }
    known_ = targets;
    return targets;
}

std::vector<Said> Group::ask(const std::string& request) {
    const std::vector<Target> targets = this->targets();
    const auto answers = client_.ask_all(targets, request, patience_);
    std::vector<Said> all;
    for (std::size_t i = 0; i < targets.size(); ++i) {
        json said = answers[i] ? json::parse(*answers[i], nullptr, false) : json();
        all.emplace_back(targets[i].name, said.is_object() ? std::move(said) : json());
    }
    return all;
}

std::vector<Said> Group::stats() {
    return ask("stats");
}

json Group::dump(json query) {
    const std::size_t limit = query.value("limit", std::size_t{1000});
    const bool part = query.contains("state") || query.contains("older_than_s");
    query["ask"] = "dump";
    return merge_dumps(ask(query.dump()), limit, part);
}

json Group::story(const std::string& task) {
    return ask_story(client_, targets(), task, patience_);
}

const json& broker_of(const std::vector<Said>& stats) {
    static const json kNone;
    for (const auto& [name, said] : stats) {
        if (said.is_object() && said.value("role", "") == "broker") return said;
    }
    return kNone;
}

bool anybody_answers(const std::vector<Said>& stats) {
    return std::ranges::any_of(stats, [](const Said& said) { return said.second.is_object(); });
}

std::string role_of(const std::string& name) {
    return name == "broker" || name == "collector" ? name : "worker";
}

namespace {

/// A row of the broker's, with what the worker that holds the attempt knows better.
json merged(json row, const json* at_worker) {
    if (at_worker == nullptr) return row;
    for (const char* field : {"state", "in_state_s", "left_s", "pid"}) row[field] = at_worker->value(field, json());
    return row;
}

std::string worker_of(const json& row) {
    const json name = row.value("worker", json());
    return name.is_string() ? name.get<std::string>() : "";
}

/// Where a worker says so: each with its worker.
json slots_out_of_service(const std::map<std::string, const json*>& workers) {
    json slots = json::array();
    for (const auto& [name, dump] : workers) {
        for (json slot : dump->value("out_of_service", json::array())) {
            if (!slot.is_object()) continue;
            slot["worker"] = name;
            slots.push_back(std::move(slot));
        }
    }
    return slots;
}

std::uint64_t all_of(const json& groups) {
    return std::accumulate(groups.begin(), groups.end(), std::uint64_t{0}, [](std::uint64_t sum, const json& group) {
        return sum + group.value("count", std::uint64_t{0});
    });
}

}  // namespace

json merge_dumps(const std::vector<Said>& dumps, std::size_t limit, bool part) {
    static const json kSaysNothing = json::object();
    const json& broker = broker_of(dumps).is_null() ? kSaysNothing : broker_of(dumps);
    std::map<std::string, const json*> workers;
    std::map<Key, const json*> held;
    json unanswered = json::array();
    for (const auto& [name, said] : dumps) {
        if (!said.is_object()) unanswered.push_back(name);
        if (!said.is_object() || said.value("role", "") != "worker") continue;
        workers[name] = &said;
        if (!said.contains("attempts")) continue;
        for (const json& row : said["attempts"]) held[key_of(row)] = &row;
    }
    json rows = json::array();
    std::set<Key> listed;
    if (broker.contains("attempts")) {
        for (const json& row : broker["attempts"]) {
            const auto at = held.find(key_of(row));
            if (part && at == held.end() && workers.contains(worker_of(row))) continue;
            listed.insert(key_of(row));
            rows.push_back(merged(row, at == held.end() ? nullptr : at->second));
        }
    }
    if (broker.empty() || part) {
        for (const auto& [key, row] : held) {
            if (!listed.contains(key)) rows.push_back(*row);
        }
    }
    std::stable_sort(rows.begin(), rows.end(),
                     [](const json& a, const json& b) { return a.value("age_s", 0.0) > b.value("age_s", 0.0); });
    if (rows.size() > limit) rows.erase(rows.begin() + static_cast<std::ptrdiff_t>(limit), rows.end());
    json groups = groups_of(broker, workers, part);
    const json matching = broker.empty() || part ? json(all_of(groups)) : broker.value("matching", json());
    return {{"schema", 1},
            {"in_flight", broker.value("in_flight", json())},
            {"matching", matching},
            {"groups", std::move(groups)},
            {"attempts", std::move(rows)},
            {"out_of_service", slots_out_of_service(workers)},
            {"unanswered", std::move(unanswered)}};
}

}  // namespace curfew
