// The monitor's flags and its command.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "common/process/options.h"
#include "common/words/vocabulary.h"
#include "monitor/serve.h"

namespace curfew {

struct MonitorOptions {
    std::string run_dir, connect;
    bool as_json = false, as_text = false;
    Duration watch{}, older_than{}, max_age{}, growth{};
    std::uint64_t limit = 1000;
    std::optional<std::uint64_t> max_in_flight;
    std::optional<double> max_failed;
    Duration failed_window = std::chrono::seconds(5);
    bool by_process = false, drained = false, once = false, null = false;
    bool group = false;  ///< dump: no more than where they are
    std::string worker, state, http = "127.0.0.1:9464", token_file, group_name;
    std::vector<std::string> words;

    explicit MonitorOptions(Options& options);
    /// Judges the command and what goes with it. Throws std::invalid_argument, Unusable,
    /// EndpointError.
    void check() const;
    /// What --http, --token-file and --group-name say. Throws the same.
    [[nodiscard]] ServeOptions serve_options() const;
    /// The group's name: the machine's, unless it was said.
    [[nodiscard]] std::string name_of_group() const;

private:
    void check_dead_letters() const;
};

}  // namespace curfew
