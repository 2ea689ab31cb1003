// A group as the monitor sees it: what all of its processes say, put together. One thread at a
// time.
#pragma once

#include <chrono>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "monitor/client.h"
#include "monitor/story.h"

namespace curfew {

class Group {
public:
    /// The processes in a run directory, or the one at `endpoint` where that is not empty.
    /// Each has `patience` for its answer.
    Group(std::string run_dir, std::string endpoint, Duration patience = std::chrono::seconds(1))
        : run_dir_(std::move(run_dir)), endpoint_(std::move(endpoint)), patience_(patience) {}

    /// What each says to `stats`: broker first, then collector, then workers. One that does not
    /// answer is null; broker and collector stay in the list although their sockets are gone.
    /// Throws std::runtime_error if there never was one.
    [[nodiscard]] std::vector<Said> stats();

    /// The live attempts of the whole group, oldest first, and where they are; docs/monitor.md.
    /// `query`: limit, older_than_s, worker, state.
    [[nodiscard]] nlohmann::json dump(nlohmann::json query);

    /// The story of `task`, by its number or what its sender called it; docs/monitor.md. Null: the
    /// broker does not answer.
    [[nodiscard]] nlohmann::json story(const std::string& task);

private:
    [[nodiscard]] std::vector<Target> targets();
    [[nodiscard]] std::vector<Said> ask(const std::string& request);

    std::string run_dir_, endpoint_;
    Duration patience_;
    Client client_;
    std::vector<Target> known_;
};

/// The broker's among them; null if it does not answer.
[[nodiscard]] const nlohmann::json& broker_of(const std::vector<Said>& stats);

/// Whether any process of the group does.
[[nodiscard]] bool anybody_answers(const std::vector<Said>& stats);

/// Of a process that does not answer only its name is left; it says as much, unless somebody has
/// chosen it.
[[nodiscard]] std::string role_of(const std::string& name);

/// Puts the dumps of the processes together: the broker knows every attempt, the workers know
/// exactly what they do. With only a part asked for, the workers' word counts, and what is in
/// transit is not known: both judge state and age by what they know. Pure.
[[nodiscard]] nlohmann::json merge_dumps(const std::vector<Said>& dumps, std::size_t limit, bool part);

}  // namespace curfew
