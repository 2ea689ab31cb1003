// What --help says of all kinds of handlers together.
#include <fmt/format.h>

#include "worker/handlers/table.h"

namespace curfew {
namespace {

std::string_view word_of(const HandlerKind& kind) {
    return kind.name.substr(0, kind.name.find(':'));
}

}  // namespace

std::string default_slots(std::span<const HandlerKind> kinds) {
    std::string text = "1";
    for (const HandlerKind& kind : kinds) {
        if (kind.slots != 1) text += fmt::format("; {}: {}", word_of(kind), kind.slots);
    }
    return text;
}

std::string fixed_credits(std::span<const HandlerKind> kinds) {
    std::string text;
    std::uint32_t credit = 0;
    for (const HandlerKind& kind : kinds) {
        credit = std::max(credit, kind.credit);
        if (kind.credit != 0) text += fmt::format("{}{}", text.empty() ? "" : ", ", word_of(kind));
    }
    return text.empty() ? text : fmt::format("{}: {}", text, credit);
}

}  // namespace curfew
