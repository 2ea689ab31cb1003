// What is known of the broker: what it has said last, and its rates, which stay when it is gone,
// and since when it is gone. Pure.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "common/words/vocabulary.h"
#include "monitor/broker_rates.h"
#include "monitor/look.h"

namespace curfew {

class KnownBroker {
public:
    /// `time`: what the clock on the wall says.
    void add(const Look& look, Instant now, const std::string& time);

    [[nodiscard]] bool answers() const { return answers_; }
    /// The last that was said; null: nothing ever was.
    [[nodiscard]] const nlohmann::json& said() const { return said_; }
    [[nodiscard]] const BrokerRates& rates() const { return rates_; }
    /// Null where it does not answer.
    [[nodiscard]] const nlohmann::json& workers() const;
    /// Attempts; none where it does not answer.
    [[nodiscard]] std::optional<double> in_flight() const;

    /// Where it does not answer: since when, on the wall and by our clock.
    [[nodiscard]] const std::string& gone_since() const { return gone_since_; }
    [[nodiscard]] Instant gone_at() const { return gone_at_; }

private:
    nlohmann::json said_;
    bool answers_ = false;
    std::string gone_since_;  // empty: it has answered each time
    Instant gone_at_;
    BrokerRates rates_;
};

}  // namespace curfew
