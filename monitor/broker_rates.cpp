#include "monitor/broker_rates.h"

#include <algorithm>

#include "monitor/fields.h"
#include "monitor/terminal_text.h"

namespace curfew {

using nlohmann::json;

void BrokerRates::add(const json& broker, Instant now) {
    const json& tasks = field(broker, "tasks");
    Totals totals{.at = now, .incarnation = count(broker, "incarnation")};
    totals.counts[0] = real(tasks, "accepted").value_or(0);
    for (const char* outcome : {"completed", "failed", "expired", "cancelled"})
        totals.counts[1] += real(tasks, outcome).value_or(0);
    totals.counts[2] = real(field(broker, "attempts"), "started").value_or(0);
    const bool same_life = before_ && before_->incarnation == totals.incarnation && now > before_->at;
    constexpr std::array kSaid = {"accepted_per_s", "settled_per_s", "started_per_s"};
    for (std::size_t i = 0; i < rates_.size(); ++i) {
        rates_[i] = same_life ? std::max(0.0, totals.counts[i] - before_->counts[i]) / seconds(now - before_->at)
                              : real(field(broker, "rates"), kSaid[i]);
    }
    before_ = totals;
}

}  // namespace curfew
