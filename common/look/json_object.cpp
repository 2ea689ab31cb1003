#include "common/look/json_object.h"

#include <algorithm>
#include <nlohmann/json.hpp>

namespace curfew {

namespace {

std::string base64(std::string_view bytes) {
    static constexpr char kAlphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    std::string out;
    out.reserve((bytes.size() + 2) / 3 * 4);
    for (std::size_t i = 0; i < bytes.size(); i += 3) {
        std::uint32_t group = 0;
        const std::size_t n = std::min<std::size_t>(3, bytes.size() - i);
        for (std::size_t j = 0; j < 3; ++j)
            group = group << 8 | (j < n ? static_cast<unsigned char>(bytes[i + j]) : 0U);
        for (std::size_t j = 0; j < 4; ++j) out += j <= n ? kAlphabet[group >> (18 - 6 * j) & 63U] : '=';
    }
    return out;
}

bool is_plain(std::string_view text) {
    return std::ranges::all_of(text, [](char c) { return c >= ' ' && c < 0x7f && c != '"' && c != '\\'; });
}

}  // namespace

JsonObject& JsonObject::add_bytes(std::string_view name, std::string_view bytes) {
    if (is_plain(bytes)) return add(name, bytes);
    try {
        const std::string text = nlohmann::json(bytes).dump();
        if (!members_.empty()) members_ += ',';
        quote(name);
        (members_ += ':') += text;
        return *this;
    } catch (const nlohmann::json::type_error&) {
        return add(std::string(name) + "_base64", base64(bytes));
    }
}

void JsonObject::quote(std::string_view text) {
    if (is_plain(text)) {
        ((members_ += '"') += text) += '"';
    } else {
        members_ += nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
    }
}

}  // namespace curfew
