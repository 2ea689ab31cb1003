#include "monitor/history.h"

#include <utility>

#include "monitor/fields.h"

namespace curfew {
namespace {

struct Curve {
    const char* name;
    const char* group;
    const char* member;
};
constexpr Curve kCurves[] = {
    {"tasks_in_flight", "tasks", "in_flight"},   {"attempts_in_flight", "attempts", "in_flight"},
    {"settled_per_s", "rates", "settled_per_s"}, {"started_per_s", "rates", "started_per_s"},
    {"p50_us", "attempt_time", "p50_us"},        {"p99_us", "attempt_time", "p99_us"},
    {"cancel_p99_us", "cancel_time", "p99_us"},
};

}  // namespace

void History::add(double time, const std::vector<Said>& stats) {
    const nlohmann::json& broker = broker_of(stats);
    if (seconds_.empty() && broker.is_null()) return;
    Sample sample;
    sample.time = time;
    for (std::size_t i = 0; i < kFields; ++i) {
        const Curve& curve = kCurves[i];
        sample.values[i] = real(field(broker, curve.group), curve.member);
    }
    const bool gap_begins = broker.is_null() && std::exchange(answered_, false);
    answered_ = answered_ || !broker.is_null();
    if (minutes_.empty() || gap_begins || time - minutes_.back().time >= 60) {
        minutes_.push_back(sample);
        if (minutes_.size() > kMinutes) minutes_.pop_front();
    }
    seconds_.push_back(sample);
    if (seconds_.size() > kSeconds) seconds_.pop_front();
}

nlohmann::json History::json(double now, double seconds) const {
    static_assert(std::size(kCurves) == kFields);
    const bool fine = seconds <= static_cast<double>(kSeconds);
    nlohmann::json out = {{"step_s", fine ? 1 : 60}, {"t", nlohmann::json::array()}};
    for (const Curve& curve : kCurves) out[curve.name] = nlohmann::json::array();
    for (const Sample& sample : fine ? seconds_ : minutes_) {
        if (sample.time < now - seconds) continue;
        out["t"].push_back(sample.time);
        for (std::size_t i = 0; i < kFields; ++i) {
            const auto& value = sample.values[i];
            out[kCurves[i].name].push_back(value ? nlohmann::json(*value) : nlohmann::json());
        }
    }
    return out;
}

}  // namespace curfew
