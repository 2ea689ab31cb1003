#include "common/process/question.h"

#include <algorithm>
#include <nlohmann/json.hpp>

namespace curfew {
namespace {

constexpr std::size_t kDumpLimit = 1000;
constexpr std::size_t kMostDumped = 1'000'000;

}  // namespace

std::optional<Question> parse_question(std::string_view request) {
    Question question{.ask = std::string(request), .query = {}, .after = std::nullopt, .task = {}};
    question.query.limit = kDumpLimit;
    if (!request.starts_with('{')) return question;
    const auto json = nlohmann::json::parse(request, nullptr, false);
    if (!json.is_object() || !json.contains("ask") || !json["ask"].is_string()) {
        return std::nullopt;
    }
    question.ask = json["ask"];
    if (json.contains("limit") && json["limit"].is_number_unsigned())
        question.query.limit = std::min(json["limit"].get<std::size_t>(), kMostDumped);
    if (json.contains("older_than_s") && json["older_than_s"].is_number()) {
        const double seconds = std::clamp(json["older_than_s"].get<double>(), 0.0, 1e9);
        question.query.older_than = std::chrono::duration_cast<Duration>(std::chrono::duration<double>(seconds));
    }
    if (json.contains("worker") && json["worker"].is_string()) question.query.worker = json["worker"];
    if (json.contains("state") && json["state"].is_string()) question.query.state = json["state"];
    if (json.contains("after") && json["after"].is_number_unsigned())
        question.after = json["after"].get<std::uint64_t>();
    if (json.contains("task") && json["task"].is_string()) question.task = json["task"];
    return question;
}

}  // namespace curfew
