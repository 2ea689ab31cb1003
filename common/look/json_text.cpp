#include "common/look/json_text.h"

#include <nlohmann/json.hpp>

namespace curfew {

std::string json_text(const std::string& value) {
    return nlohmann::json(value).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

}  // namespace curfew
