#include "common/look/json_object.h"

#include <algorithm>
#include <nlohmann/json.hpp>

namespace curfew {

void JsonObject::quote(std::string_view text) {
    const auto plain = [](char c) { return c >= ' ' && c < 0x7f && c != '"' && c != '\\'; };
    if (std::ranges::all_of(text, plain)) {
        ((members_ += '"') += text) += '"';
    } else {
        members_ += nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
    }
}

}  // namespace curfew
