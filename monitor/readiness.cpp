#include "monitor/readiness.h"

#include <fmt/format.h>

#include "monitor/fields.h"
#include "monitor/terminal_text.h"

namespace curfew {
namespace {

using nlohmann::json;

bool is_lost_for_long(const json& queue) {
    return real(queue, "lost_for_s").value_or(0) > kShortLoss;
}

bool waits_for_long(const json& sink) {
    return !field(sink, "waits_for").is_null() && real(sink, "waited_s").value_or(0) >= kShortWait;
}

}  // namespace

const json& queue_of(const json& broker) {
    static const json kNone;
    const json& source = field(broker, "source");
    return field(source, "queue").is_string() ? source : kNone;
}

const json& sink_of(const std::vector<Said>& stats) {
    static const json kNone;
    for (const auto& [name, said] : stats) {
        if (const json& sink = field(said, "sink"); sink.is_object()) return sink;
    }
    return kNone;
}

std::string words_of_loss(const json& queue) {
    if (real(queue, "lost_for_s") == std::nullopt) return "";
    const std::string why = word(queue, "trouble", true);
    return fmt::format("{} is not connected for {}{}", word(queue, "queue", true),
                       short_time(real(queue, "lost_for_s")), why.size() > 1 ? " (" + why + ")" : "");
}

std::vector<std::string> troubles_of_ends(const std::vector<Said>& stats) {
    std::vector<std::string> troubles;
    const json& queue = queue_of(broker_of(stats));
    if (is_lost_for_long(queue)) troubles.push_back("the queue " + words_of_loss(queue));
    const json& sink = sink_of(stats);
    if (waits_for_long(sink)) troubles.push_back("the sink waits for " + word(sink, "waits_for", true));
    return troubles;
}

std::string why_not_ready(const std::vector<Said>& stats) {
    const json& broker = broker_of(stats);
    if (broker.is_null()) return "the broker does not answer";
    if (!is_true(field(broker, "collector"), "synced")) return "there is no collector";
    if (const auto troubles = troubles_of_ends(stats); !troubles.empty()) return troubles.front();
    for (const json& worker : field(broker, "workers")) {
        if (field(worker, "state") == "ready") return "";
    }
    return "no worker is ready";
}

}  // namespace curfew
