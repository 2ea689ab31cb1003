// The codec, in: msgpack-cxx behind Reader.
//
// A record is parsed into a flat list of its parts first (the list's memory is kept), then the fields are taken from
// the list in their order. Hostile frames: a part costs a constant, and there are no more parts than bytes; lengths
// that the frame claims are believed only when so much is there; nesting is limited to kDepth.
#include "common/wire/wire_reader.h"

#include <algorithm>
#include <cstdint>
#include <msgpack.hpp>
#include <type_traits>
#include <vector>

#include "common/wire/wire_runs.h"

namespace curfew::wire {
namespace {

constexpr std::size_t kDepth = 8;
constexpr std::size_t kPartsKept = 1 << 16;
/// Those of the largest sync: bytes of one number each must not take 24 times their size.
constexpr std::size_t kMostParts = 8 * kMostWindow;
/// A hundred years: what is added to a time of our clock stays one.
constexpr std::uint64_t kLongestLeftUs = 100ULL * 365 * 24 * 3600 * 1'000'000;

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
        return parts_.size() <= kMostParts;
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
    /// The only signed ones are times left: microseconds, or -1 for none.
    void get(std::int64_t& value) {
        if (next_is(Part::Type::negative)) {
            value = static_cast<std::int64_t>((next_++)->number);
            if (value != -1) good_ = false;
            return;
        }
        const std::uint64_t number = natural();
        if (number > kLongestLeftUs) good_ = false;
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
constexpr std::uint8_t kLargest<ReportKind> = static_cast<std::uint8_t>(ReportKind::returned);
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

/// `bad_field`: the first that is wrong, from 1.
template <typename R>
void take_record(Fields& fields, std::uint64_t count, Record& record, std::uint64_t& bad_field) {
    R& into = std::holds_alternative<R>(record) ? std::get<R>(record) = R() : record.emplace<R>();
    std::uint64_t place = 0;
    const auto take = [&](auto& field) {
        if (place == count || bad_field != 0) return;
        ++place;
        fields.get(field);
        if (!fields.good()) bad_field = place;
    };
    std::apply([&](auto&... field) { (take(field), ...); }, into.fields());
}

enum class Found : std::uint8_t { record, unknown, bad };

/// Tries the record types of the variant, one by one, for the type number on the wire.
template <std::size_t I = 0>
Found record_of_type(std::uint64_t type, std::uint64_t count, Fields& fields, Record& record,
                     std::uint64_t& bad_field) {
    if constexpr (I == std::variant_size_v<Record>) {
        return Found::unknown;
    } else {
        using R = std::variant_alternative_t<I, Record>;
        if (type != R::kType) return record_of_type<I + 1>(type, count, fields, record, bad_field);
        if (count < R::kRequired) return Found::bad;
        take_record<R>(fields, count, record, bad_field);
        return fields.good() ? Found::record : Found::bad;
    }
}

}  // namespace

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
            if (left > kLongestLeftUs + 1) return false;
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
    bad_ = {};
    if (parser_->parts.capacity() > kPartsKept) parser_->parts = {};  // of a frame that was large, or hostile
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
    return good ? Step::record : note_bad(0);
}

Reader::Step Reader::note_bad(std::uint64_t field) {
    bad_.field = field;
    return Step::bad;
}

Reader::Step Reader::next(Record& record) {
    if (!parser_->items.empty()) return next_of_run(record);
    if (offset_ == frame_.size()) return Step::end;
    bad_ = {.record = bad_.record + 1};
    if (!parser_->parse(frame_, offset_)) return note_bad(0);
    Fields fields(parser_->parts);
    const std::uint64_t count = fields.array(1);
    bad_.type = fields.natural();
    if (!fields.good()) return note_bad(0);
    if (count > 1) bad_.key = Fields(fields).natural();
    if (bad_.type == kTaskRun || bad_.type == kReportRun) {
        return parser_->open_run(bad_.type, count - 1, fields, record) ? next_of_run(record) : note_bad(0);
    }
    std::uint64_t bad_field = 0;
    switch (record_of_type(bad_.type, count - 1, fields, record, bad_field)) {
        case Found::record: return Step::record;
        case Found::unknown: return Step::unknown;
        case Found::bad: break;
    }
    return note_bad(bad_field);
}

std::string describe(const Reader::BadPlace& bad) {
    std::string text = "record " + std::to_string(bad.record);
    if (bad.type == 0) return text + ": no msgpack array that begins with a type";
    text += " (type " + std::to_string(bad.type) + ", of " + std::to_string(bad.key) + "): ";
    return text + (bad.field == 0 ? "it ends too early" : "field " + std::to_string(bad.field) + " cannot be read");
}

}  // namespace curfew::wire
