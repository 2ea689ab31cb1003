// Counts live attempts by where they are, as a profiler counts equal stacks: how many, and how old
// the oldest is.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/look/json_object.h"
#include "common/words/vocabulary.h"

namespace curfew {

class AttemptGroups {
public:
    /// Those of one worker.
    class Place {
    public:
        Place(std::string_view pool, std::string_view worker) : pool_(pool), worker_(worker) {}
        void add(AttemptState state, Duration age) {
            Group& group = groups_[static_cast<std::size_t>(state)];
            ++group.count;
            if (age > group.oldest) group.oldest = age;
        }

    private:
        friend class AttemptGroups;
        struct Group {
            std::uint64_t count = 0;
            Duration oldest{};
        };
        std::string pool_, worker_;
        std::array<Group, 5> groups_;  // by AttemptState
    };

    /// Valid until the next one is made.
    Place& place(std::string_view pool, std::string_view worker) { return places_.emplace_back(pool, worker); }
    /// The so-manyth that was made.
    Place& at(std::size_t place) { return places_[place]; }

    /// Each with `pool`, `worker`, `state`, `count`, `oldest_s`.
    [[nodiscard]] std::vector<JsonObject> json() const;

private:
    std::vector<Place> places_;
};

}  // namespace curfew
