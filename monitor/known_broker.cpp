#include "monitor/known_broker.h"

#include <utility>

#include "monitor/fields.h"

namespace curfew {

using nlohmann::json;

void KnownBroker::add(const Look& look, Instant now, const std::string& time) {
    const bool answered = std::exchange(answers_, false);
    for (const auto& [name, said] : look.stats) {
        if (field(said, "role") != "broker") continue;
        said_ = said;
        answers_ = true;
    }
    if (answers_) {
        rates_.add(said_, now);
        return;
    }
    if (!answered && !gone_since_.empty()) return;
    gone_since_ = time;
    gone_at_ = now;
}

const json& KnownBroker::workers() const {
    static const json kNone;
    return answers_ ? field(said_, "workers") : kNone;
}

std::optional<double> KnownBroker::in_flight() const {
    return answers_ ? real(field(said_, "attempts"), "in_flight") : std::nullopt;
}

}  // namespace curfew
