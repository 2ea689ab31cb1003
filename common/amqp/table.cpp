#include "common/amqp/table.h"

#include <fmt/format.h>

namespace curfew::amqp {
namespace {

std::string text_of(const amqp_field_value_t& value) {
    switch (value.kind) {
        case AMQP_FIELD_KIND_BOOLEAN: return value.value.boolean != 0 ? "true" : "false";
        case AMQP_FIELD_KIND_I8: return fmt::format("{}", int{value.value.i8});
        case AMQP_FIELD_KIND_U8: return fmt::format("{}", unsigned{value.value.u8});
        case AMQP_FIELD_KIND_I16: return fmt::format("{}", value.value.i16);
        case AMQP_FIELD_KIND_U16: return fmt::format("{}", value.value.u16);
        case AMQP_FIELD_KIND_I32: return fmt::format("{}", value.value.i32);
        case AMQP_FIELD_KIND_U32: return fmt::format("{}", value.value.u32);
        case AMQP_FIELD_KIND_I64: return fmt::format("{}", value.value.i64);
        case AMQP_FIELD_KIND_TIMESTAMP:
        case AMQP_FIELD_KIND_U64: return fmt::format("{}", value.value.u64);
        case AMQP_FIELD_KIND_F32: return fmt::format("{}", value.value.f32);
        case AMQP_FIELD_KIND_F64: return fmt::format("{}", value.value.f64);
        case AMQP_FIELD_KIND_UTF8:
        case AMQP_FIELD_KIND_BYTES: return std::string(view(value.value.bytes));
        default: return {};  // tables and arrays, such as x-death
    }
}

bool has_text(const amqp_field_value_t& value) {
    return value.kind != AMQP_FIELD_KIND_TABLE && value.kind != AMQP_FIELD_KIND_ARRAY &&
           value.kind != AMQP_FIELD_KIND_VOID && value.kind != AMQP_FIELD_KIND_DECIMAL;
}

std::uint64_t count_of(const amqp_field_value_t& value) {
    const std::string text = text_of(value);
    std::uint64_t count = 0;
    for (const char digit : text) {
        if (digit < '0' || digit > '9') return 0;
        count = count * 10 + static_cast<std::uint64_t>(digit - '0');
    }
    return count;
}

}  // namespace

amqp_field_value_t& Table::entry(const char* name, amqp_field_value_kind_t kind) {
    amqp_table_entry_t& added = entries_.emplace_back();
    added.key = bytes(name);
    added.value.kind = static_cast<std::uint8_t>(kind);
    return added.value;
}

void Table::add(const char* name, std::string_view value) {
    entry(name, AMQP_FIELD_KIND_UTF8).value.bytes = bytes(value);
}

void Table::add(const char* name, std::int64_t value) {
    entry(name, AMQP_FIELD_KIND_I64).value.i64 = value;
}

void Table::add(const char* name, bool value) {
    entry(name, AMQP_FIELD_KIND_BOOLEAN).value.boolean = value ? 1 : 0;
}

void Table::add(const char* name, Table& value) {
    entry(name, AMQP_FIELD_KIND_TABLE).value.table = value.get();
}

std::string text_of(const amqp_table_t& table, std::string_view name) {
    for (int i = 0; i < table.num_entries; ++i) {
        if (view(table.entries[i].key) == name) return text_of(table.entries[i].value);
    }
    return {};
}

Properties properties_of(const amqp_basic_properties_t& found) {
    Properties properties;
    const auto take = [&](amqp_flags_t flag, const amqp_bytes_t& field, std::string& into) {
        if ((found._flags & flag) != 0) into = view(field);
    };
    take(AMQP_BASIC_MESSAGE_ID_FLAG, found.message_id, properties.message_id);
    take(AMQP_BASIC_REPLY_TO_FLAG, found.reply_to, properties.reply_to);
    take(AMQP_BASIC_CORRELATION_ID_FLAG, found.correlation_id, properties.correlation_id);
    take(AMQP_BASIC_CONTENT_TYPE_FLAG, found.content_type, properties.content_type);
    take(AMQP_BASIC_EXPIRATION_FLAG, found.expiration, properties.expiration);
    if ((found._flags & AMQP_BASIC_HEADERS_FLAG) == 0) return properties;
    for (int i = 0; i < found.headers.num_entries; ++i) {
        const amqp_table_entry_t& entry = found.headers.entries[i];
        if (view(entry.key) == "x-delivery-count") {
            properties.delivery_count = count_of(entry.value);
        } else if (has_text(entry.value)) {
            properties.headers.emplace_back(view(entry.key), text_of(entry.value));
        }
    }
    return properties;
}

}  // namespace curfew::amqp
