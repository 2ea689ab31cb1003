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
constexpr Curve kFigures[] = {{"tasks_in_flight", "tasks", "in_flight"},
                              {"attempts_in_flight", "attempts", "in_flight"},
                              {"settled_per_s", "rates", "settled_per_s"},
                              {"started_per_s", "rates", "started_per_s"}};
constexpr const char* kHistograms[] = {"task_time", "attempt_time", "cancel_time"};
/// Quantiles of the ten seconds before.
struct TimesCurve {
    const char* name;
    std::size_t histogram;
    double share;
};
constexpr TimesCurve kTimes[] = {{"task_p50_us", 0, 0.5}, {"task_p99_us", 0, 0.99}, {"task_p999_us", 0, 0.999},
                                 {"p50_us", 1, 0.5},      {"p99_us", 1, 0.99},      {"cancel_p99_us", 2, 0.99}};

const char* name_of(std::size_t curve) {
    return curve < std::size(kFigures) ? kFigures[curve].name : kTimes[curve - std::size(kFigures)].name;
}

}  // namespace

History::Sample History::sample_of(double time, const nlohmann::json& broker) {
    for (std::size_t i = 0; i < recent_.size(); ++i)
        recent_[i].add(field(broker, kHistograms[i]), count(broker, "incarnation"), time);
    Sample sample{.time = time, .values = {}};
    auto next = sample.values.begin();
    for (const Curve& curve : kFigures) *next++ = real(field(broker, curve.group), curve.member);
    for (const TimesCurve& curve : kTimes) *next++ = recent_[curve.histogram].quantile(curve.share);
    return sample;
}

void History::add(double time, const std::vector<Said>& stats) {
    const nlohmann::json& broker = broker_of(stats);
    if (seconds_.empty() && broker.is_null()) return;
    const Sample sample = sample_of(time, broker);
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
    static_assert(std::size(kFigures) + std::size(kTimes) == kFields);
    const bool fine = seconds <= static_cast<double>(kSeconds);
    nlohmann::json out = {{"step_s", fine ? 1 : 60}, {"t", nlohmann::json::array()}};
    for (std::size_t i = 0; i < kFields; ++i) out[name_of(i)] = nlohmann::json::array();
    for (const Sample& sample : fine ? seconds_ : minutes_) {
        if (sample.time < now - seconds) continue;
        out["t"].push_back(sample.time);
        for (std::size_t i = 0; i < kFields; ++i) {
            const auto& value = sample.values[i];
            out[name_of(i)].push_back(value ? nlohmann::json(*value) : nlohmann::json());
        }
    }
    return out;
}

}  // namespace curfew
