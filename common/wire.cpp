// The codec: msgpack-cxx behind Writer and Reader. The only file that includes msgpack (it compiles slowly).
//
// Hostile frames: every container is limited to the frame's own size before anything is allocated, nesting to kDepth;
// an exception of the library ends here as Error::malformed.
#include "common/wire.h"

#include <msgpack.hpp>
#include <span>
#include <stdexcept>
#include <type_traits>

namespace curfew::wire {
namespace {

constexpr std::size_t kDepth = 8;

/// What a field refuses; caught with the library's own exceptions in Reader.
struct BadField : std::runtime_error {
    BadField() : std::runtime_error("field of the wrong type") {}
};

struct StringBuffer {
    std::string& bytes;
    void write(const char* data, std::size_t size) { bytes.append(data, size); }
};
using Packer = msgpack::packer<StringBuffer>;

// ---- fields out ----------------------------------------------------------------------------------------------------

void put(Packer& packer, std::uint64_t value) {
    packer.pack_uint64(value);
}
void put(Packer& packer, std::uint32_t value) {
    packer.pack_uint32(value);
}
void put(Packer& packer, std::int64_t value) {
    packer.pack_int64(value);
}
void put(Packer& packer, std::string_view bytes) {
    packer.pack_bin(static_cast<std::uint32_t>(bytes.size()));
    packer.pack_bin_body(bytes.data(), static_cast<std::uint32_t>(bytes.size()));
}
void put(Packer& packer, const std::optional<std::string_view>& bytes) {
    if (bytes) {
        put(packer, *bytes);
    } else {
        packer.pack_nil();
    }
}
template <typename E>
requires std::is_enum_v<E>
void put(Packer& packer, E value) {
    packer.pack_uint8(static_cast<std::uint8_t>(value));
}
void put(Packer& packer, const Intervals& list) {
    packer.pack_array(static_cast<std::uint32_t>(list.size() * 2));
    for (const Interval& range : list) {
        packer.pack_uint64(range.first);
        packer.pack_uint64(range.last);
    }
}
void put(Packer& packer, const Winner& winner) {
    packer.pack_array(3);
    packer.pack_uint64(winner.seq);
    packer.pack_uint64(winner.attempt.session);
    packer.pack_uint64(winner.attempt.number);
}
void put(Packer& packer, const Admission& admission) {
    packer.pack_array(4);
    packer.pack_uint64(admission.session);
    put(packer, admission.name);
    put(packer, admission.pool);
    put(packer, admission.ended);
}
void put(Packer& packer, const PastAttempt& past) {
    packer.pack_array(4);
    packer.pack_uint32(past.ordinal);
    put(packer, past.worker);
    put(packer, past.end);
    put(packer, past.error);
}
template <typename T>
void put(Packer& packer, const std::vector<T>& list) {
    packer.pack_array(static_cast<std::uint32_t>(list.size()));
    for (const T& item : list) put(packer, item);
}

// ---- fields in -----------------------------------------------------------------------------------------------------

using Object = msgpack::object;

std::uint64_t number_of(const Object& object) {
    if (object.type != msgpack::type::POSITIVE_INTEGER) throw BadField();
    return object.via.u64;
}
void get(const Object& object, std::uint64_t& value) {
    value = number_of(object);
}
void get(const Object& object, std::uint32_t& value) {
    if (number_of(object) > UINT32_MAX) throw BadField();
    value = static_cast<std::uint32_t>(object.via.u64);
}
void get(const Object& object, std::int64_t& value) {
    if (object.type == msgpack::type::NEGATIVE_INTEGER) {
        value = object.via.i64;
    } else {
        if (number_of(object) > static_cast<std::uint64_t>(INT64_MAX)) throw BadField();
        value = static_cast<std::int64_t>(object.via.u64);
    }
}
void get(const Object& object, std::string_view& bytes) {
    if (object.type == msgpack::type::BIN) {
        bytes = {object.via.bin.ptr, object.via.bin.size};
    } else if (object.type == msgpack::type::STR) {
        bytes = {object.via.str.ptr, object.via.str.size};
    } else {
        throw BadField();
    }
}
void get(const Object& object, std::optional<std::string_view>& bytes) {
    if (object.type == msgpack::type::NIL) {
        bytes.reset();
    } else {
        get(object, bytes.emplace());
    }
}

template <typename E>
constexpr std::uint8_t kLargest = 0;
template <>
constexpr std::uint8_t kLargest<End> = static_cast<std::uint8_t>(End::lost);
template <>
constexpr std::uint8_t kLargest<Outcome> = static_cast<std::uint8_t>(Outcome::cancelled);
template <>
constexpr std::uint8_t kLargest<CancelReason> = static_cast<std::uint8_t>(CancelReason::lost);
template <>
constexpr std::uint8_t kLargest<ReportKind> = static_cast<std::uint8_t>(ReportKind::expired);
template <>
constexpr std::uint8_t kLargest<Kind> = static_cast<std::uint8_t>(Kind::to_broker);

template <typename E>
requires std::is_enum_v<E>
void get(const Object& object, E& value) {
    const std::uint64_t n = number_of(object);
    if (n == 0 || n > kLargest<E>) throw BadField();
    value = static_cast<E>(n);
}

/// An array of at least `least` elements.
std::span<const Object> elements_of(const Object& object, std::size_t least) {
    if (object.type != msgpack::type::ARRAY || object.via.array.size < least) throw BadField();
    return {object.via.array.ptr, object.via.array.size};
}
void get(const Object& object, Intervals& list) {
    const auto numbers = elements_of(object, 0);
    if (numbers.size() % 2 != 0) throw BadField();
    list.clear();
    list.reserve(numbers.size() / 2);
    for (std::size_t i = 0; i < numbers.size(); i += 2) {
        const Interval range{number_of(numbers[i]), number_of(numbers[i + 1])};
        // 2^64-1 is no number of anything, and loops up to it would not end.
        if (range.first > range.last || range.last == UINT64_MAX) throw BadField();
        list.push_back(range);
    }
}
void get(const Object& object, Winner& winner) {
    const auto item = elements_of(object, 3);
    winner = {number_of(item[0]), {number_of(item[1]), number_of(item[2])}};
}
void get(const Object& object, Admission& admission) {
    const auto item = elements_of(object, 4);
    get(item[0], admission.session);
    get(item[1], admission.name);
    get(item[2], admission.pool);
    get(item[3], admission.ended);
}
void get(const Object& object, PastAttempt& past) {
    const auto item = elements_of(object, 4);
    get(item[0], past.ordinal);
    get(item[1], past.worker);
    get(item[2], past.end);
    get(item[3], past.error);
}
template <typename T>
void get(const Object& object, std::vector<T>& list) {
    const auto items = elements_of(object, 0);
    list.clear();
    list.reserve(items.size());
    for (const Object& item : items) get(item, list.emplace_back());
}

template <typename R>
R record_from(std::span<const Object> elements) {
    R record;
    std::size_t i = 0;
    const auto take = [&](auto& field) {
        if (i < elements.size()) get(elements[i], field);
        ++i;
    };
    std::apply([&](auto&... field) { (take(field), ...); }, record.fields());
    return record;
}

/// Tries the record types of the variant, one by one, for the type number on the wire.
template <std::size_t I = 0>
bool record_of_type(std::uint64_t type, std::span<const Object> elements, Record& record) {
    if constexpr (I == std::variant_size_v<Record>) {
        return false;
    } else {
        using R = std::variant_alternative_t<I, Record>;
        if (type != R::kType) return record_of_type<I + 1>(type, elements, record);
        if (elements.size() < R::kRequired) throw BadField();
        record = record_from<R>(elements);
        return true;
    }
}

}  // namespace

// ---- writer --------------------------------------------------------------------------------------------------------

template <typename R>
void Writer::add(const R& record) {
    StringBuffer buffer{body_};
    Packer packer(buffer);
    // fields() is one list for both directions; writing does not change what it refers to.
    auto fields = const_cast<R&>(record).fields();
    packer.pack_array(1 + static_cast<std::uint32_t>(std::tuple_size_v<decltype(fields)>));
    packer.pack_uint8(R::kType);
    std::apply([&](const auto&... field) { (put(packer, field), ...); }, fields);
}

std::string Writer::finish(const Envelope& envelope) {
    std::string frame;
    frame.reserve(body_.size() + 64);
    StringBuffer buffer{frame};
    Packer packer(buffer);
    packer.pack_array(7);
    packer.pack_uint8(kVersion);
    put(packer, envelope.kind);
    put(packer, envelope.broker);
    put(packer, envelope.peer);
    put(packer, envelope.number);
    put(packer, envelope.acked);
    put(packer, static_cast<std::uint64_t>(body_.size()));
    frame += body_;
    body_.clear();
    return frame;
}

template void Writer::add(const Task&);
template void Writer::add(const Token&);
template void Writer::add(const Welcome&);
template void Writer::add(const Ping&);
template void Writer::add(const Cancel&);
template void Writer::add(const Confirm&);
template void Writer::add(const Resend&);
template void Writer::add(const Gone&);
template void Writer::add(const Hello&);
template void Writer::add(const Heartbeat&);
template void Writer::add(const Report&);
template void Writer::add(const TokenReport&);
template void Writer::add(const Bye&);
template void Writer::add(const Sync&);
template void Writer::add(const BrokerPing&);
template void Writer::add(const Admit&);
template void Writer::add(const SessionGone&);
template void Writer::add(const Lose&);
template void Writer::add(const Verdict&);
template void Writer::add(const CollectorHello&);
template void Writer::add(const Synced&);
template void Writer::add(const Decided&);
template void Writer::add(const Settled&);
template void Writer::add(const Ended&);
template void Writer::add(const Admitted&);
template void Writer::add(const Refused&);

// ---- reader --------------------------------------------------------------------------------------------------------

struct Reader::Scratch {
    msgpack::zone zone;

    /// Parses one object at `offset` and moves it on. Strings refer to the frame.
    Object parse(std::string_view frame, std::size_t& offset) {
        const std::size_t n = frame.size() - offset;
        const msgpack::unpack_limit limit(n, n, n, n, n, kDepth);
        const auto refer = [](msgpack::type::object_type, std::size_t, void*) { return true; };
        bool referenced = false;
        return msgpack::unpack(zone, frame.data(), frame.size(), offset, referenced, refer, nullptr, limit);
    }
};

Reader::Reader() : scratch_(std::make_unique<Scratch>()) {}
Reader::~Reader() = default;

Error Reader::open(std::string_view frame, Envelope& envelope, std::initializer_list<Kind> expected) {
    frame_ = frame;
    offset_ = 0;
    scratch_->zone.clear();
    try {
        const auto fields = elements_of(scratch_->parse(frame, offset_), 2);
        if (number_of(fields[0]) != kVersion) return Error::version;
        if (fields.size() < 7) return Error::malformed;
        get(fields[1], envelope.kind);
        get(fields[2], envelope.broker);
        get(fields[3], envelope.peer);
        get(fields[4], envelope.number);
        get(fields[5], envelope.acked);
        if (number_of(fields[6]) != frame.size() - offset_) return Error::malformed;
    } catch (const std::exception&) {
        return Error::malformed;
    }
    for (const Kind kind : expected) {
        if (envelope.kind == kind) return Error::none;
    }
    return Error::kind;
}

Reader::Step Reader::next(Record& record) {
    if (offset_ == frame_.size()) return Step::end;
    scratch_->zone.clear();
    try {
        const auto elements = elements_of(scratch_->parse(frame_, offset_), 1);
        const bool known = record_of_type(number_of(elements[0]), elements.subspan(1), record);
        return known ? Step::record : Step::unknown;
    } catch (const std::exception&) {
        return Step::bad;
    }
}

}  // namespace curfew::wire
