#include "common/wire/message_properties.h"

#include <msgpack.hpp>

namespace curfew::wire {
namespace {

// The array's elements. A new one is appended
constexpr std::uint32_t kReplyTo = 0, kCorrelationId = 1, kContentType = 2, kHeaders = 3, kElements = 4;

void put(msgpack::packer<msgpack::sbuffer>& packer, std::string_view bytes) {
    packer.pack_bin(static_cast<std::uint32_t>(bytes.size()));
    packer.pack_bin_body(bytes.data(), static_cast<std::uint32_t>(bytes.size()));
}

std::string text(const msgpack::object& found) {
    const auto view = found.as<std::string_view>();
    return std::string(view);
}

}  // namespace

std::string pack(const MessageProperties& properties) {
    if (properties == MessageProperties{}) return {};
    msgpack::sbuffer buffer;
    msgpack::packer packer(buffer);
    packer.pack_array(kElements);
    put(packer, properties.reply_to);
    put(packer, properties.correlation_id);
    put(packer, properties.content_type);
    packer.pack_array(static_cast<std::uint32_t>(2 * properties.headers.size()));
    for (const auto& [name, value] : properties.headers) {
        put(packer, name);
        put(packer, value);
    }
    return {buffer.data(), buffer.size()};
}

std::optional<MessageProperties> unpack_properties(std::string_view bytes) {
    MessageProperties properties;
    if (bytes.empty()) return properties;
    try {
        constexpr std::size_t kDeep = 3;
        const msgpack::unpack_limit limit(bytes.size(), bytes.size(), bytes.size(), bytes.size(), bytes.size(), kDeep);
        const auto by_reference = [](msgpack::type::object_type, std::size_t, void*) { return true; };
        const msgpack::object_handle handle = msgpack::unpack(bytes.data(), bytes.size(), by_reference, nullptr, limit);
        const msgpack::object& found = handle.get();
        if (found.type != msgpack::type::ARRAY || found.via.array.size < kElements) return std::nullopt;
        const msgpack::object* elements = found.via.array.ptr;
        properties.reply_to = text(elements[kReplyTo]);
        properties.correlation_id = text(elements[kCorrelationId]);
        properties.content_type = text(elements[kContentType]);
        const msgpack::object& headers = elements[kHeaders];
        if (headers.type != msgpack::type::ARRAY || headers.via.array.size % 2 != 0) return std::nullopt;
        for (std::uint32_t i = 0; i < headers.via.array.size; i += 2)
            properties.headers.emplace_back(text(headers.via.array.ptr[i]), text(headers.via.array.ptr[i + 1]));
        return properties;
    } catch (const msgpack::unpack_error&) {
        return std::nullopt;
    } catch (const msgpack::type_error&) {
        return std::nullopt;
    }
}

}  // namespace curfew::wire
