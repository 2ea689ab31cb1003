#include "common/look/attempt_groups.h"

#include <fmt/format.h>

#include <utility>

#include "common/look/json_text.h"

namespace curfew {

std::string AttemptGroups::json() const {
    std::string out = "[";
    const char* comma = "";
    for (const Place& place : places_) {
        for (std::size_t state = 0; state < place.groups_.size(); ++state) {
            const Place::Group& group = place.groups_[state];
            if (group.count == 0) continue;
            out += fmt::format(R"({}{{"pool":{},"worker":{},"state":"{}","count":{},"oldest_s":{:.6f}}})",
                               std::exchange(comma, ","), json_text(place.pool_), json_text(place.worker_),
                               name_of(static_cast<AttemptState>(state)), group.count,
                               std::chrono::duration<double>(group.oldest).count());
        }
    }
    return out + "]";
}

}  // namespace curfew
