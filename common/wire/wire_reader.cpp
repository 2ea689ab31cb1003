// The codec, in: msgpack-cxx behind Reader.
//
// A record is parsed into a flat list of its parts first (the list's memory is kept), then the
// fields are taken from the list in their order: see wire_fields.h.
#include "common/wire/wire_reader.h"

#include <algorithm>
#include <cstdint>
#include <type_traits>
#include <vector>

#include "common/wire/wire_fields.h"
#include "common/wire/wire_runs.h"

namespace curfew::wire {
namespace {

constexpr std::size_t kPartsKept = 1 << 16;

/// `bad_field`: the first that is wrong, from 1.
template <typename R, typename Road>
void take_record(Fields& fields, std::uint64_t count, Road& record, std::uint64_t& bad_field) {
    R& into = std::holds_alternative<R>(record) ? std::get<R>(record) = R() : record.template emplace<R>();
    std::uint64_t place = 0;
    const auto take = [&](auto& field) {
        if (place == count || bad_field != 0) return;
        ++place;
        fields.get(field);
        if (!fields.good()) bad_field = place;
    };
    std::apply([&](auto&... field) { (take(field), ...); }, into.fields());
}

template <typename R, typename Road>
constexpr bool kOn = false;
template <typename R, typename... All>
constexpr bool kOn<R, std::variant<All...>> = (std::is_same_v<R, All> || ...);

/// Each record has its road, and a tool that reads any road reads all of them.
template <typename Road>
constexpr bool kAllAreRecords = false;
template <typename... All>
constexpr bool kAllAreRecords<std::variant<All...>> = (kOn<All, Record> && ...);
static_assert(kAllAreRecords<road::Tasks> && kAllAreRecords<road::Control> && kAllAreRecords<road::Life> &&
              kAllAreRecords<road::Reports> && kAllAreRecords<road::ToCollector> &&
              kAllAreRecords<road::BesideToCollector> && kAllAreRecords<road::ToBroker> &&
              kAllAreRecords<road::BesideToBroker>);

template <typename... All>
constexpr bool is_one_of(std::uint64_t type, const std::variant<All...>*) {
    return ((type == All::kType) || ...);
}
bool is_known(std::uint64_t type) {
    return type == kTaskRun || type == kReportRun || is_one_of(type, static_cast<const Record*>(nullptr));
}

enum class Found : std::uint8_t { record, stranger, bad };

/// Tries the records of the road, one by one, for the type number on the wire.
template <std::size_t I = 0, typename Road>
Found record_of_type(std::uint64_t type, std::uint64_t count, Fields& fields, Road& record, std::uint64_t& bad_field) {
    if constexpr (I == std::variant_size_v<Road>) {
        return Found::stranger;
    } else {
        using R = std::variant_alternative_t<I, Road>;
        if (type != R::kType) return record_of_type<I + 1>(type, count, fields, record, bad_field);
        if (count < R::kRequired) return Found::bad;
        take_record<R>(fields, count, record, bad_field);
        return fields.good() ? Found::record : Found::bad;
    }
}

}  // namespace

// ---- shared tasks ------------------------------------------------------------------------------

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

// ---- reader ------------------------------------------------------------------------------------

struct Reader::Parser {
    std::vector<Part> parts;
    Items items;                        // what is left of the run under way
    std::uint64_t number = 0, seq = 0;  // of its next item, if nothing is left out

    template <typename Road>
    Found read(std::uint64_t type, std::uint64_t count, Fields fields, Road& record, std::uint64_t& bad_field) {
        if constexpr (kOn<Task, Road>) {
            if (type == kTaskRun) return read_run(record.template emplace<Task>(), count, fields);
        }
        if constexpr (kOn<Report, Road>) {
            if (type == kReportRun) return read_run(record.template emplace<Report>(), count, fields);
        }
        return record_of_type(type, count, fields, record, bad_field);
    }

    /// What the items share, and the first of them.
    template <typename R>
    Found read_run(R& record, std::uint64_t count, Fields fields) {
        if (count < 7) return Found::bad;
        fields.get(number);
        fields.get(seq);
        get_shared(record, fields);
        std::string_view bytes;
        fields.get(bytes);
        items = Items(bytes);
        const bool good = fields.good() && number != 0 && seq != 0 && !bytes.empty();
        return good && items.next(number, seq, record) ? Found::record : Found::bad;
    }
    static void get_shared(Task& task, Fields& fields) {
        fields.get(task.ordinal);
        fields.get(task.attempts);
        fields.get_left_in_run(task.left_us);
        fields.get(task.age_us);
    }
    static void get_shared(Report& report, Fields& fields) {
        fields.get(report.kind);
        fields.get(report.ordinal);
        fields.get(report.attempts);
        fields.get(report.latency_us);
    }

    /// The next item of the run under way, whose first one is in `record`.
    template <typename Road>
    bool next_item(Road& record) {
        if constexpr (kOn<Task, Road>) {
            if (Task* task = std::get_if<Task>(&record)) return items.next(number, seq, *task);
        }
        if constexpr (kOn<Report, Road>) {
            if (Report* report = std::get_if<Report>(&record)) return items.next(number, seq, *report);
        }
        return false;
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
    strayed_ = 0;
    // Of a frame that was large, or hostile
    if (parser_->parts.capacity() > kPartsKept) parser_->parts = {};
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

Reader::Step Reader::note_bad(std::uint64_t field) {
    bad_.field = field;
    return Step::bad;
}

/// A record of a type that is not known, or that has strayed here.
Reader::Step Reader::pass_over() {
    if (is_known(bad_.type)) ++strayed_;
    return Step::passed_over;
}

template <typename Road>
Reader::Step Reader::next(Road& record) {
    if (!parser_->items.empty()) return parser_->next_item(record) ? Step::record : note_bad(0);
    if (offset_ == frame_.size()) return Step::end;
    bad_ = {.record = bad_.record + 1};
    if (!parser_->parse(frame_, offset_)) return note_bad(0);
    Fields fields(parser_->parts);
    const std::uint64_t count = fields.array(1);
    bad_.type = fields.natural();
    if (!fields.good()) return note_bad(0);
    if (count > 1) bad_.key = Fields(fields).natural();
    std::uint64_t bad_field = 0;
    switch (parser_->read(bad_.type, count - 1, fields, record, bad_field)) {
        case Found::record: return Step::record;
        case Found::stranger: return pass_over();
        case Found::bad: break;
    }
    return note_bad(bad_field);
}
template Reader::Step Reader::next(Record&);
template Reader::Step Reader::next(road::Tasks&);
template Reader::Step Reader::next(road::Control&);
template Reader::Step Reader::next(road::Life&);
template Reader::Step Reader::next(road::Reports&);
template Reader::Step Reader::next(road::ToCollector&);
template Reader::Step Reader::next(road::BesideToCollector&);
template Reader::Step Reader::next(road::ToBroker&);
template Reader::Step Reader::next(road::BesideToBroker&);

std::string describe(const Reader::BadPlace& bad) {
    std::string text = "record " + std::to_string(bad.record);
    if (bad.type == 0) return text + ": no msgpack array that begins with a type";
    text += " (type " + std::to_string(bad.type) + ", of " + std::to_string(bad.key) + "): ";
    return text + (bad.field == 0 ? "it ends too early" : "field " + std::to_string(bad.field) + " cannot be read");
}

}  // namespace curfew::wire
