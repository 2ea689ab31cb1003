// The workers that were seen, each session of one, and what was last said of them. One that is gone
// stays, until there is a newer session of that name. Pure.
//
// Memory: those that are there, and the last that have gone.
#pragma once

#include <cstddef>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>

#include "common/words/vocabulary.h"
#include "monitor/look.h"

namespace curfew {

class KnownWorkers {
public:
    using Id = std::pair<std::string, Session>;
    struct Worker {
        nlohmann::json row;   ///< the broker's
        nlohmann::json said;  ///< its own stats
        bool listed = false, answers = false;
        std::optional<Instant> listed_at;  ///< when `row` was said
        std::optional<double> ends_per_s;  ///< between the last two looks that list it
        std::optional<Instant> gone_at;

        [[nodiscard]] bool is_here() const { return listed || answers; }
    };

    /// `listed`: by the broker; null where it does not answer.
    void add(const Look& look, const nlohmann::json& listed, Instant now);

    [[nodiscard]] const std::map<Id, Worker>& all() const { return known_; }
    [[nodiscard]] std::size_t gone() const;

private:
    void take_list(const nlohmann::json& listed, Instant now);
    void take_stats(const Look& look);
    void forget(Instant now);

    std::map<Id, Worker> known_;
};

}  // namespace curfew
