#include "monitor/admin_text.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "monitor/fields.h"
#include "monitor/terminal_text.h"

namespace curfew {
namespace {

using nlohmann::json;

std::string drain_text(std::uint64_t tasks) {
    if (tasks == 0) return "the broker takes no more messages, and ends: no task is in flight";
    return fmt::format("the broker takes no more messages, and ends when the {} in flight {}",
                       tasks == 1 ? "task" : many(tasks, "task"),
                       tasks == 1 ? "has its outcome" : "have their outcomes");
}

std::string pause_text(std::uint64_t tasks) {
    const std::string rest = tasks == 0
                                 ? "no task is in flight"
                                 : fmt::format("{} in flight {} on", many(tasks, "task"), tasks == 1 ? "goes" : "go");
    return "paused: no messages are taken until `curfew-monitor resume`; " + rest;
}

std::string resume_text(std::uint64_t tasks) {
    return fmt::format("no longer paused; {} in flight",
                       tasks == 0 ? "no task is" : many(tasks, "task") + (tasks == 1 ? " is" : " are"));
}

std::string cancel_text(std::uint64_t seq, const json& answer) {
    if (is_true(answer, "ok")) return fmt::format("task {} is cancelled", seq);
    return fmt::format("task {} is not cancelled: {}", seq, word(answer, "reason", true));
}

}  // namespace

std::string admin_text(const std::string& verb, std::uint64_t seq, const json& answer) {
    const bool said = field(answer, "ok").is_boolean();
    const std::uint64_t tasks = count(answer, "tasks_in_flight");
    if (said && verb == "cancel") return cancel_text(seq, answer);
    if (is_true(answer, "ok") && verb == "drain") return drain_text(tasks);
    if (is_true(answer, "ok") && verb == "pause") return pause_text(tasks);
    if (is_true(answer, "ok") && verb == "resume") return resume_text(tasks);
    return fmt::format("{} was not done; the answer: {}", verb,
                       answer.is_discarded() ? "no JSON" : word(json{{"answer", answer}}, "answer", true));
}

}  // namespace curfew
