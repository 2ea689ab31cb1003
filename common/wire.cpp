// The codec: msgpack-cxx behind Writer and Reader. The only file that includes msgpack (it compiles slowly).
//
// A record is parsed into a flat list of its parts first (the list's memory is kept, so reading allocates nothing but
// what a record keeps), then the fields are taken from the list in their order.
//
// A run is [type, number, seq, what is shared..., items]: number and seq are those of the first item, each further one
// has the next of both, unless two naturals in front of it say how many of each are left out; an item is its payload.
// The items are msgpack within the bytes of one part, so that parsing a run costs no more than its items do.
//
// Hostile frames: a part costs a constant, and there are no more parts than bytes; lengths that the frame claims are
// believed only when so much is there; nesting is limited to kDepth.
#include "common/wire.h"

#include <algorithm>
#include <msgpack.hpp>
#include <type_traits>

namespace curfew::wire {
namespace {

constexpr std::size_t kDepth = 8;
constexpr std::uint8_t kTaskRun = 9, kReportRun = 15;
constexpr std::uint64_t kLastInRun = UINT64_MAX - 2;  // so that the number behind it is a number, too
constexpr std::size_t kMostReserved = 1 << 20;

bool fits_run(std::uint64_t number, std::uint64_t seq) {
    return number != 0 && number <= kLastInRun && seq != 0 && seq <= kLastInRun;
}

using Packer = msgpack::packer<Frame>;

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
void put(Packer& packer, const Addressee& addressee) {
    packer.pack_array(3);
    packer.pack_uint64(addressee.session);
    packer.pack_uint64(addressee.number);
    packer.pack_uint32(addressee.ordinal);
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

/// A value in a record; an array is followed by its elements, a map by its keys and values.
struct Part {
    enum class Type : std::uint8_t { nil, natural, negative, bytes, array, map, other } type = Type::nil;
    std::uint64_t number = 0;    ///< a number (in two's complement); how many bytes, elements, keys and values
    const char* data = nullptr;  ///< bytes: where they are in the frame
};

/// Collects the parts. Every visit says whether to go on.
class PartVisitor : public msgpack::null_visitor {
public:
    explicit PartVisitor(std::vector<Part>& parts) : parts_(parts) {}
    // NOLINTBEGIN(readability-identifier-naming): the library's names
    bool visit_nil() { return add({.type = Part::Type::nil}); }
    bool visit_boolean(bool) { return add({.type = Part::Type::other}); }
    bool visit_positive_integer(std::uint64_t value) { return add({.type = Part::Type::natural, .number = value}); }
    bool visit_negative_integer(std::int64_t value) {
        return add({.type = Part::Type::negative, .number = static_cast<std::uint64_t>(value)});
    }
    bool visit_float32(float) { return add({.type = Part::Type::other}); }
    bool visit_float64(double) { return add({.type = Part::Type::other}); }
    bool visit_str(const char* data, std::uint32_t size) { return visit_bin(data, size); }
    bool visit_bin(const char* data, std::uint32_t size) {
        return add({.type = Part::Type::bytes, .number = size, .data = data});
    }
    bool visit_ext(const char*, std::uint32_t) { return add({.type = Part::Type::other}); }
    bool start_array(std::uint32_t count) {
        return ++depth_ <= kDepth && add({.type = Part::Type::array, .number = count});
    }
    bool end_array() { return leave(); }
    bool start_map(std::uint32_t count) {
        return ++depth_ <= kDepth && add({.type = Part::Type::map, .number = 2ULL * count});
    }
    bool end_map() { return leave(); }
    void parse_error(std::size_t, std::size_t) { complete_ = false; }
    void insufficient_bytes(std::size_t, std::size_t) { complete_ = false; }
    // NOLINTEND(readability-identifier-naming)
    [[nodiscard]] bool complete() const { return complete_; }

private:
    bool add(const Part& part) {
        parts_.push_back(part);
        return true;
    }
    bool leave() {
        --depth_;
        return true;
    }

    std::vector<Part>& parts_;
    std::size_t depth_ = 0;
    bool complete_ = true;
};

/// Takes fields from the parts of one record, in their order. A field of the wrong type makes all that follow fail.
class Fields {
public:
    explicit Fields(const std::vector<Part>& parts) : next_(parts.data()), end_(next_ + parts.size()) {}

    /// How many elements the array has that comes next; it must have at least `least`.
    std::uint64_t array(std::uint64_t least = 0) {
        const Part part = take(Part::Type::array);
        if (part.number < least) good_ = false;
        return good_ ? part.number : 0;
    }
    std::uint64_t natural() { return take(Part::Type::natural).number; }
    void get(std::uint64_t& value) { value = natural(); }
    void get(std::uint32_t& value) {
        const std::uint64_t number = natural();
        if (number > UINT32_MAX) good_ = false;
        value = static_cast<std::uint32_t>(number);
    }
    void get(std::int64_t& value) {
        if (next_is(Part::Type::negative)) {
            value = static_cast<std::int64_t>((next_++)->number);
            return;
        }
        const std::uint64_t number = natural();
        if (number > static_cast<std::uint64_t>(INT64_MAX)) good_ = false;
        value = static_cast<std::int64_t>(number);
    }
    void get(std::string_view& bytes) {
        const Part part = take(Part::Type::bytes);
        bytes = {part.data, part.number};
    }
    void get(std::optional<std::string_view>& bytes) {
        if (next_is(Part::Type::nil)) {
            ++next_;
            bytes.reset();
        } else {
            get(bytes.emplace());
        }
    }
    template <typename E>
    requires std::is_enum_v<E>
    void get(E& value);
    void get(Intervals& list);
    void get(Winner& winner) {
        const std::uint64_t count = array(3);
        get(winner.seq);
        get(winner.attempt.session);
        get(winner.attempt.number);
        pass_over(count - 3);
    }
    void get(Addressee& addressee) {
        const std::uint64_t count = array(3);
        get(addressee.session);
        get(addressee.number);
        get(addressee.ordinal);
        pass_over(count - 3);
    }
    void get(Admission& admission) {
        const std::uint64_t count = array(4);
        get(admission.session);
        get(admission.name);
        get(admission.pool);
        get(admission.ended);
        pass_over(count - 4);
    }
    void get(PastAttempt& past) {
        const std::uint64_t count = array(4);
        get(past.ordinal);
        get(past.worker);
        get(past.end);
        get(past.error);
        pass_over(count - 4);
    }
    template <typename T>
    void get(std::vector<T>& list) {
        list.clear();
        const std::uint64_t count = array();
        for (std::uint64_t i = 0; good_ && i < count; ++i) get(list.emplace_back());
    }

    [[nodiscard]] bool good() const { return good_; }

private:
    [[nodiscard]] bool next_is(Part::Type type) const { return good_ && next_ != end_ && next_->type == type; }
    Part take(Part::Type type) {
        good_ = next_is(type);
        return good_ ? *next_++ : Part{};
    }
    /// Elements that a newer version has added.
    void pass_over(std::uint64_t count) {
        for (; good_ && count > 0; --count, ++next_) {
            const bool nested = next_->type == Part::Type::array || next_->type == Part::Type::map;
            if (nested) count += next_->number;
        }
    }

    const Part* next_;
    const Part* end_;
    bool good_ = true;
};

/// The items of a run: naturals and bytes, one behind the other.
class Items {
public:
    explicit Items(std::string_view bytes = {}) : left_(bytes) {}

    [[nodiscard]] bool empty() const { return left_.empty(); }
    [[nodiscard]] std::string_view rest() const { return left_; }
    /// The next item: moves `number` and `seq`, which are what they are if nothing is left out, behind it. False, here
    /// and below, where there is none; the rest is of no use then.
    template <typename R>
    bool next(std::uint64_t& number, std::uint64_t& seq, R& record) {
        std::uint64_t numbers = 0, seqs = 0;
        if (left_.empty()) return false;
        if (at_natural() && (!natural(numbers) || !natural(seqs))) return false;
        if (number > kLastInRun || numbers > kLastInRun - number || seq > kLastInRun || seqs > kLastInRun - seq) {
            return false;
        }
        record.number = number + numbers;
        record.seq = seq + seqs;
        number = record.number + 1;
        seq = record.seq + 1;
        return bytes(record.payload);
    }

private:
    [[nodiscard]] bool at_natural() const { return first() < 0x80 || (first() >= 0xcc && first() <= 0xcf); }
    bool natural(std::uint64_t& value) {
        if (left_.empty() || !at_natural()) return false;
        const std::uint8_t type = first();
        if (type >= 0x80) return big_endian(std::size_t{1} << (type - 0xcc), value);
        value = type;
        left_.remove_prefix(1);
        return true;
    }
    bool bytes(std::string_view& value) {
        if (left_.empty()) return false;
        const std::uint8_t type = first();
        std::uint64_t size = type & 0x1fU;  // of a short string
        if (type >= 0xc4 && type <= 0xc6) {
            if (!big_endian(std::size_t{1} << (type - 0xc4), size)) return false;
        } else if (type >= 0xd9 && type <= 0xdb) {
            if (!big_endian(std::size_t{1} << (type - 0xd9), size)) return false;
        } else if (type >= 0xa0 && type <= 0xbf) {
            left_.remove_prefix(1);
        } else {
            return false;
        }
        if (size > left_.size()) return false;
        value = left_.substr(0, size);
        left_.remove_prefix(size);
        return true;
    }
    [[nodiscard]] std::uint8_t first() const { return static_cast<std::uint8_t>(left_.front()); }
    /// The number of so many bytes behind the type.
    bool big_endian(std::size_t width, std::uint64_t& value) {
        if (left_.size() < 1 + width) return false;
        value = 0;
        for (std::size_t i = 1; i <= width; ++i) value = value << 8 | static_cast<std::uint8_t>(left_[i]);
        left_.remove_prefix(1 + width);
        return true;
    }

    std::string_view left_;
};

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
void Fields::get(E& value) {
    const std::uint64_t number = natural();
    if (number == 0 || number > kLargest<E>) good_ = false;
    value = static_cast<E>(number);
}

void Fields::get(Intervals& list) {
    list.clear();
    const std::uint64_t count = array();
    if (count % 2 != 0) good_ = false;
    for (std::uint64_t i = 0; good_ && i < count; i += 2) {
        const Interval range{natural(), natural()};
        // 2^64-1 is no number of anything, and loops up to it would not end.
        if (range.first > range.last || range.last == UINT64_MAX) good_ = false;
        list.push_back(range);
    }
}

template <typename R>
void take_record(Fields& fields, std::uint64_t count, Record& record) {
    R& into = std::holds_alternative<R>(record) ? std::get<R>(record) = R() : record.emplace<R>();
    const auto take = [&](auto& field) {
        if (count == 0) return;
        --count;
        fields.get(field);
    };
    std::apply([&](auto&... field) { (take(field), ...); }, into.fields());
}

enum class Found : std::uint8_t { record, unknown, bad };

/// Tries the record types of the variant, one by one, for the type number on the wire.
template <std::size_t I = 0>
Found record_of_type(std::uint64_t type, std::uint64_t count, Fields& fields, Record& record) {
    if constexpr (I == std::variant_size_v<Record>) {
        return Found::unknown;
    } else {
        using R = std::variant_alternative_t<I, Record>;
        if (type != R::kType) return record_of_type<I + 1>(type, count, fields, record);
        if (count < R::kRequired) return Found::bad;
        take_record<R>(fields, count, record);
        return fields.good() ? Found::record : Found::bad;
    }
}

}  // namespace

// ---- writer --------------------------------------------------------------------------------------------------------

void Writer::clear() {
    buffer_.shrink(0);
    run_ = {};
}

/// The items follow. Their length has a fixed width: it is not known before the record is closed.
void Writer::open_items(std::uint8_t type) {
    constexpr char kBinOf32Bits = static_cast<char>(0xc6);
    buffer_.write(&kBinOf32Bits, 1);
    buffer_.write("\0\0\0\0", 4);
    run_ = {.type = type, .items_at = buffer_.size()};
}

void Writer::add_item(std::uint64_t numbers, std::uint64_t seqs, std::string_view payload) {
    Packer packer(buffer_);
    if (numbers != 0 || seqs != 0) {
        packer.pack_uint64(numbers);
        packer.pack_uint64(seqs);
    }
    put(packer, payload);
}

void Writer::begin(const SharedTasks& shared) {
    close_run();
    leave_room_for_envelope();
    Packer packer(buffer_);
    packer.pack_array(7);
    packer.pack_uint8(SharedTasks::kType);
    put(packer, shared.to);
    packer.pack_uint64(shared.seq);
    packer.pack_uint32(shared.attempts);
    packer.pack_int64(shared.left_us);
    packer.pack_uint64(shared.age_us);
    open_items(SharedTasks::kType);
}

/// Appends to the run that is open, if it is one of these, else opens one.
template <std::size_t N>
void Writer::add_to_run(std::uint8_t type, std::uint64_t number, std::uint64_t seq, const std::uint64_t (&shared)[N],
                        std::string_view payload) {
    const bool goes_on = run_.type == type && number > run_.number && seq > run_.seq &&
                         std::equal(std::begin(shared), std::end(shared), run_.shared);
    if (!goes_on) {
        close_run();
        leave_room_for_envelope();
        Packer packer(buffer_);
        packer.pack_array(static_cast<std::uint32_t>(3 + N + 1));
        packer.pack_uint8(type);
        packer.pack_uint64(number);
        packer.pack_uint64(seq);
        for (const std::uint64_t value : shared) packer.pack_uint64(value);
        open_items(type);
        std::copy(std::begin(shared), std::end(shared), run_.shared);
        run_.number = number - 1;
        run_.seq = seq - 1;
    }
    add_item(number - run_.number - 1, seq - run_.seq - 1, payload);
    run_.number = number;
    run_.seq = seq;
}

void Writer::close_run() {
    if (run_.type == 0) return;
    const std::size_t length = buffer_.size() - run_.items_at;
    char* at = buffer_.data() + run_.items_at;
    for (std::size_t left = length, i = 0; i < 4; ++i, left >>= 8) *--at = static_cast<char>(left);
    run_ = {};
}

void Writer::add(const Task& task) {
    if (task.id || task.left_us < -1 || !fits_run(task.number, task.seq)) return add<Task>(task);
    const auto left = static_cast<std::uint64_t>(task.left_us) + 1;  // 0: none
    add_to_run(kTaskRun, task.number, task.seq, {task.ordinal, task.attempts, left, task.age_us}, task.payload);
}

void Writer::add(const Report& report) {
    if (report.id || !report.error.empty() || !fits_run(report.number, report.seq)) return add<Report>(report);
    const auto kind = static_cast<std::uint64_t>(report.kind);
    add_to_run(kReportRun, report.number, report.seq, {kind, report.ordinal, report.attempts, report.latency_us},
               report.payload);
}

void Writer::leave_room_for_envelope() {
    static constexpr char kRoom[kEnvelopeSize] = {};
    if (!buffer_.empty()) return;
    buffer_.reserve(std::min(usual_ + usual_ / 8, kMostReserved));
    buffer_.write(kRoom, kEnvelopeSize);
}

template <typename R>
void Writer::add(const R& record) {
    close_run();
    leave_room_for_envelope();
    Packer packer(buffer_);
    // fields() is one list for both directions; writing does not change what it refers to.
    auto fields = const_cast<R&>(record).fields();
    packer.pack_array(1 + static_cast<std::uint32_t>(std::tuple_size_v<decltype(fields)>));
    packer.pack_uint8(R::kType);
    std::apply([&](const auto&... field) { (put(packer, field), ...); }, fields);
}

void Writer::append(Writer& other) {
    if (other.empty()) return;
    close_run();
    other.close_run();
    leave_room_for_envelope();
    const std::string_view records = other.buffer_.view().substr(kEnvelopeSize);
    buffer_.write(records.data(), records.size());
    other.clear();
}

Frame Writer::finish(const Envelope& envelope) {
    close_run();
    leave_room_for_envelope();
    const std::size_t records = size();
    struct Front {
        char* at;
        void write(const char* data, std::size_t size) {
            std::memcpy(at, data, size);
            at += size;
        }
    } front{buffer_.data()};
    msgpack::packer<Front> packer(front);
    packer.pack_array(7);
    packer.pack_uint8(kVersion);
    packer.pack_uint8(static_cast<std::uint8_t>(envelope.kind));
    for (const std::uint64_t number :
         {envelope.broker, envelope.peer, envelope.number, envelope.acked, static_cast<std::uint64_t>(records)}) {
        packer.pack_fix_uint64(number);
    }
    usual_ = buffer_.size();
    return std::exchange(buffer_, {});
}

template void Writer::add<Task>(const Task&);
template void Writer::add(const SharedTasks&);
template void Writer::add(const Token&);
template void Writer::add(const Welcome&);
template void Writer::add(const Ping&);
template void Writer::add(const Cancel&);
template void Writer::add(const Confirm&);
template void Writer::add(const Resend&);
template void Writer::add(const Gone&);
template void Writer::add(const Hello&);
template void Writer::add(const Heartbeat&);
template void Writer::add<Report>(const Report&);
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

// ---- shared tasks --------------------------------------------------------------------------------------------------

SharedReader::SharedReader(const SharedTasks& shared, Session session) : items_(shared.items) {
    const auto me = std::ranges::find(shared.to, session, &Addressee::session);
    if (me == shared.to.end() || session == 0) return;
    task_.number = number_ = me->number;
    task_.ordinal = me->ordinal;
    seq_ = shared.seq;
    task_.attempts = shared.attempts;
    task_.left_us = shared.left_us;
    task_.age_us = shared.age_us;
}

const Task* SharedReader::next() {
    if (items_.empty() || !good_) return nullptr;
    Items items(items_);
    good_ = items.next(number_, seq_, task_) && task_.seq != 0;
    items_ = items.rest();
    return good_ ? &task_ : nullptr;
}

// ---- reader --------------------------------------------------------------------------------------------------------

struct Reader::Parser {
    std::vector<Part> parts;
    Items items;                        // what is left of the run under way
    std::uint64_t number = 0, seq = 0;  // of its next item, if nothing is left out

    /// Reads what the items share into `record`. False where it is no good run.
    bool open_run(std::uint64_t type, std::uint64_t count, Fields fields, Record& record) {
        if (count < 7) return false;
        fields.get(number);
        fields.get(seq);
        if (type == kTaskRun) {
            Task& task = record.emplace<Task>();
            std::uint64_t left = 0;
            fields.get(task.ordinal);
            fields.get(task.attempts);
            fields.get(left);
            fields.get(task.age_us);
            if (left > static_cast<std::uint64_t>(INT64_MAX)) return false;
            task.left_us = static_cast<std::int64_t>(left) - 1;
        } else {
            Report& report = record.emplace<Report>();
            fields.get(report.kind);
            fields.get(report.ordinal);
            fields.get(report.attempts);
            fields.get(report.latency_us);
        }
        std::string_view bytes;
        fields.get(bytes);
        items = Items(bytes);
        return fields.good() && number != 0 && seq != 0 && !bytes.empty();
    }

    template <typename R>
    bool next_item(R& record) {
        return items.next(number, seq, record);
    }

    /// Parses one object at `offset` and moves it on. False where there is none.
    bool parse(std::string_view frame, std::size_t& offset) {
        parts.clear();
        PartVisitor visitor(parts);
        return msgpack::parse(frame.data(), frame.size(), offset, visitor) && visitor.complete();
    }
};

Reader::Reader() : parser_(std::make_unique<Parser>()) {}
Reader::~Reader() = default;

Error Reader::open(std::string_view frame, Envelope& envelope, std::initializer_list<Kind> expected) {
    frame_ = frame;
    offset_ = 0;
    parser_->items = Items();
    if (!parser_->parse(frame, offset_)) return Error::malformed;
    Fields fields(parser_->parts);
    const std::uint64_t count = fields.array(2);
    const std::uint64_t version = fields.natural();
    if (!fields.good()) return Error::malformed;
    if (version != kVersion) return Error::version;
    if (count < 7) return Error::malformed;
    fields.get(envelope.kind);
    fields.get(envelope.broker);
    fields.get(envelope.peer);
    fields.get(envelope.number);
    fields.get(envelope.acked);
    const std::uint64_t records = fields.natural();
    if (!fields.good() || records != frame.size() - offset_) return Error::malformed;
    return std::ranges::find(expected, envelope.kind) != expected.end() ? Error::none : Error::kind;
}

std::uint64_t Reader::first_type() {
    std::size_t offset = offset_;
    if (offset == frame_.size() || !parser_->parse(frame_, offset)) return 0;
    Fields fields(parser_->parts);
    (void)fields.array(1);
    return fields.natural();
}

Reader::Step Reader::next_of_run(Record& record) {
    Task* task = std::get_if<Task>(&record);
    const bool good = task != nullptr ? parser_->next_item(*task) : parser_->next_item(std::get<Report>(record));
    return good ? Step::record : Step::bad;
}

Reader::Step Reader::next(Record& record) {
    if (!parser_->items.empty()) return next_of_run(record);
    if (offset_ == frame_.size()) return Step::end;
    if (!parser_->parse(frame_, offset_)) return Step::bad;
    Fields fields(parser_->parts);
    const std::uint64_t count = fields.array(1);
    const std::uint64_t type = fields.natural();
    if (!fields.good()) return Step::bad;
    if (type == kTaskRun || type == kReportRun) {
        return parser_->open_run(type, count - 1, fields, record) ? next_of_run(record) : Step::bad;
    }
    switch (record_of_type(type, count - 1, fields, record)) {
        case Found::record: return Step::record;
        case Found::unknown: return Step::unknown;
        case Found::bad: return Step::bad;
    }
    return Step::bad;
}

}  // namespace curfew::wire
