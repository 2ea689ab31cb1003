// What the broker does in a second: the difference of its books between two looks. At the first
// look at a life of it there is none, and what it says itself stands for it. Pure.
#pragma once

#include <array>
#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>

#include "common/words/vocabulary.h"

namespace curfew {

class BrokerRates {
public:
    /// What the broker has said at `now`.
    void add(const nlohmann::json& broker, Instant now);

    [[nodiscard]] std::optional<double> accepted() const { return rates_[0]; }
    [[nodiscard]] std::optional<double> settled() const { return rates_[1]; }
    [[nodiscard]] std::optional<double> started() const { return rates_[2]; }

private:
    struct Totals {
        Instant at;
        std::uint64_t incarnation = 0;
        std::array<double, 3> counts{};  ///< accepted, settled, started
    };

    std::optional<Totals> before_;  // the last look
    std::array<std::optional<double>, 3> rates_;
};

}  // namespace curfew
