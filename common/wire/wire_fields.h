// How the reader takes one record apart, with msgpack-cxx: first into a flat list of its parts,
// then field by field. For wire_reader.cpp alone.
//
// Hostile frames: a part costs a constant, and there are no more parts than bytes; lengths that the
// frame claims are believed only when so much is there; nesting is limited to kDepth.
#pragma once

#include <cstddef>
#include <cstdint>
#include <msgpack.hpp>
#include <optional>
#include <string_view>
#include <type_traits>
#include <vector>

#include "common/wire/wire.h"

namespace curfew::wire {

inline constexpr std::size_t kDepth = 8;
/// Those of the largest sync: bytes of one number each must not take 24 times their size.
inline constexpr std::size_t kMostParts = 8 * kMostWindow;
/// A hundred years: what is added to a time of our clock stays one.
inline constexpr std::uint64_t kLongestLeftUs = 100ULL * 365 * 24 * 3600 * 1'000'000;

/// A value in a record; an array is followed by its elements, a map by its keys and values.
struct Part {
    enum class Type : std::uint8_t { nil, natural, negative, bytes, array, map, other } type = Type::nil;
    /// A number (in two's complement); how many bytes, elements, keys and values.
    std::uint64_t number = 0;
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
    [[gnu::always_inline]] bool add(const Part& part) {
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

/// Takes fields from the parts of one record, in their order. A field of the wrong type makes all
/// that follow fail.
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
    /// In a run it is one more, and 0 for none.
    void get_left_in_run(std::int64_t& value) {
        const std::uint64_t number = natural();
        if (number > kLongestLeftUs + 1) good_ = false;
        value = static_cast<std::int64_t>(number - 1);  // 0: -1
    }
    void get(std::string_view& bytes) {
        const Part part = take(Part::Type::bytes);
        bytes = {part.data, part.number};
    }
    template <typename Value>
    void get(std::optional<Value>& value) {
        if (next_is(Part::Type::nil)) {
            ++next_;
            value.reset();
        } else {
            get(value.emplace());
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
    void get(KnownEnd& known) {
        const std::uint64_t count = array(4);
        get(known.seq);
        get(known.outcome);
        get(known.winner.session);
        get(known.winner.number);
        pass_over(count - 4);
    }
    void get(WorkDetails& details) {
        const std::uint64_t count = array(7);
        get(details.began_us);
        get(details.run_us);
        get(details.exited);
        get(details.signal);
        get(details.stderr_bytes);
        get(details.errors);
        get(details.message);
        pass_over(count - 7);
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

/// The largest enumerator of each.
template <typename E>
inline constexpr std::uint8_t kLargest = 0;
template <>
inline constexpr std::uint8_t kLargest<End> = static_cast<std::uint8_t>(End::lost);
template <>
inline constexpr std::uint8_t kLargest<Outcome> = static_cast<std::uint8_t>(Outcome::cancelled);
template <>
inline constexpr std::uint8_t kLargest<CancelReason> = static_cast<std::uint8_t>(CancelReason::lost);
template <>
inline constexpr std::uint8_t kLargest<ReportKind> = static_cast<std::uint8_t>(ReportKind::returned);
template <>
inline constexpr std::uint8_t kLargest<Kind> = static_cast<std::uint8_t>(Kind::to_broker);

template <typename E>
requires std::is_enum_v<E>
void Fields::get(E& value) {
    const std::uint64_t number = natural();
    if (number == 0 || number > kLargest<E>) good_ = false;
    value = static_cast<E>(number);
}

inline void Fields::get(Intervals& list) {
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

}  // namespace curfew::wire
