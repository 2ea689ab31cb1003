#include "common/look/attempt_groups.h"

namespace curfew {

std::vector<JsonObject> AttemptGroups::json() const {
    std::vector<JsonObject> out;
    for (const Place& place : places_) {
        for (std::size_t state = 0; state < place.groups_.size(); ++state) {
            const Place::Group& group = place.groups_[state];
            if (group.count == 0) continue;
            out.emplace_back()
                .add("pool", place.pool_)
                .add("worker", place.worker_)
                .add("state", name_of(static_cast<AttemptState>(state)))
                .add("count", group.count)
                .add("oldest_s", group.oldest);
        }
    }
    return out;
}

}  // namespace curfew
