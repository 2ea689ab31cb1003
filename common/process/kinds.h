// Kinds that a flag chooses among, each behind its name in a table: sources, sinks, handlers. What
// --help and errors say of them is made from the table.
//
// A kind's name is a word, `stdin`, or a word with something to fill in, `file:PATH`.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "common/process/suggestion.h"

namespace curfew {

/// "stdin, file:PATH or zmq:ENDPOINT"; for --help with what each has to say of itself.
template <typename Kind>
[[nodiscard]] std::string names_of(std::span<const Kind> kinds, bool with_help = false) {
    std::string text;
    for (std::size_t i = 0; i < kinds.size(); ++i) {
        if (i > 0) text += i + 1 == kinds.size() ? " or " : ", ";
        text += kinds[i].name;
        if (with_help && !kinds[i].help.empty()) text += fmt::format(" ({})", kinds[i].help);
    }
    return text;
}

/// What was said: its kind, and what stands in the place of what is to be filled in.
template <typename Kind>
struct Chosen {
    const Kind* kind = nullptr;
    std::string rest;
};

/// Throws std::invalid_argument, which names all there are, where there is no such kind.
template <typename Kind>
[[nodiscard]] Chosen<Kind> choose(std::span<const Kind> kinds, std::string_view flag, std::string_view text) {
    for (const Kind& kind : kinds) {
        const std::size_t colon = kind.name.find(':');
        if (colon == std::string_view::npos && text == kind.name) return {&kind, {}};
        const bool fits = colon != std::string_view::npos && text.starts_with(kind.name.substr(0, colon + 1));
        if (fits && text.size() > colon + 1) return {&kind, std::string(text.substr(colon + 1))};
    }
    std::vector<std::string> names;
    for (const Kind& kind : kinds) names.emplace_back(kind.name);
    throw std::invalid_argument(
        fmt::format("{}: '{}' is not {}{}", flag, text, names_of(kinds), did_you_mean(std::string(text), names)));
}

}  // namespace curfew
