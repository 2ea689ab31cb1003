// Reads what a process has said. Any field may be missing, or be of another kind than it should.
// Pure.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>

namespace curfew {

/// Null where there is none.
[[nodiscard]] inline const nlohmann::json& field(const nlohmann::json& object, const char* key) {
    static const nlohmann::json kNothing;
    if (!object.is_object()) return kNothing;
    const auto at = object.find(key);
    return at != object.end() ? *at : kNothing;
}

[[nodiscard]] inline std::optional<double> real(const nlohmann::json& object, const char* key) {
    const nlohmann::json& value = field(object, key);
    return value.is_number() ? std::optional(value.get<double>()) : std::nullopt;
}

/// 0 where there is none.
[[nodiscard]] inline std::uint64_t count(const nlohmann::json& object, const char* key) {
    const nlohmann::json& value = field(object, key);
    return value.is_number_integer() && value >= 0 ? value.get<std::uint64_t>() : 0;
}

[[nodiscard]] inline bool is_true(const nlohmann::json& object, const char* key) {
    return field(object, key) == true;
}

}  // namespace curfew
