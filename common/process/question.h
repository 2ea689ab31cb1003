// What somebody asks of a process at its monitor socket: a word, or JSON with a filter. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "common/look/reply.h"

namespace curfew {

struct Question {
    std::string ask;  ///< stats, dump, ends, story, health; or something that nobody knows
    DumpQuery query;
    std::optional<std::uint64_t> after;  ///< ends: those after this one
    std::string task;                    ///< story: its number, or what its sender called it
};

/// None: it is JSON, and no question.
[[nodiscard]] std::optional<Question> parse_question(std::string_view request);

}  // namespace curfew
