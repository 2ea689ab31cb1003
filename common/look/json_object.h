// What a process says of itself, as JSON: an object, member by member in the order in which they
// are added. Nothing is looked up or sorted, and a large one is one string that grows.
//
//     JsonObject().add("name", name).add("age_s", now - since).add("slots", JsonObject().add("busy", busy))
//
// Numbers and truth values stand as they are, a Duration in seconds, text in quotes (bytes that are
// not UTF-8 become the replacement character: names come from peers and from command lines), an
// optional without a value as null, and a range as a list of what is in it.
#pragma once

#include <fmt/format.h>

#include <array>
#include <chrono>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <optional>
#include <ranges>
#include <string>
#include <string_view>
#include <utility>

#include "common/words/vocabulary.h"

namespace curfew {

class JsonObject {
public:
    template <typename Value>
    JsonObject& add(std::string_view name, const Value& value) {
        if (!members_.empty()) members_ += ',';
        quote(name);
        members_ += ':';
        write(value);
        return *this;
    }
    /// Bytes that may be anything: as `name` where they are UTF-8, else as `name_base64`.
    JsonObject& add_bytes(std::string_view name, std::string_view bytes);
    /// All the members of another, behind those that are here.
    JsonObject& append(const JsonObject& more) {
        if (!members_.empty() && !more.members_.empty()) members_ += ',';
        members_ += more.members_;
        return *this;
    }
    /// With the braces.
    [[nodiscard]] std::string text() const { return "{" + members_ + "}"; }
    /// Without them: for one that is written in pieces.
    [[nodiscard]] const std::string& members() const { return members_; }

private:
    void write(bool value) { members_ += value ? "true" : "false"; }
    void write(std::integral auto number) { fmt::format_to(std::back_inserter(members_), "{}", number); }
    void write(double number) { fmt::format_to(std::back_inserter(members_), "{}", number); }
    void write(Duration duration) {
        fmt::format_to(std::back_inserter(members_), "{:.6f}", std::chrono::duration<double>(duration).count());
    }
    void write(std::string_view text) { quote(text); }
    void write(const std::string& text) { quote(text); }
    void write(const char* text) { quote(text); }
    void write(const JsonObject& object) { (members_ += '{').append(object.members_) += '}'; }
    void write(std::nullopt_t) { members_ += "null"; }
    template <typename Value>
    void write(const std::optional<Value>& value) {
        value ? write(*value) : write(std::nullopt);
    }
    template <std::ranges::input_range Range>
    void write(const Range& range) {
        members_ += '[';
        bool first = true;
        for (const auto& value : range) {
            if (!std::exchange(first, false)) members_ += ',';
            write(value);
        }
        members_ += ']';
    }
    void quote(std::string_view text);

    std::string members_;
};

/// A member for each kind by its name, with its place in `counts`, which begins with one for none.
template <typename Kind, std::size_t Places>
[[nodiscard]] JsonObject by_name(const std::array<std::uint64_t, Places>& counts) {
    JsonObject out;
    for (std::size_t kind = 1; kind < Places; ++kind) out.add(name_of(static_cast<Kind>(kind)), counts[kind]);
    return out;
}

/// Null where there is nothing to say.
[[nodiscard]] inline std::optional<std::string_view> if_any(std::string_view text) {
    return text.empty() ? std::nullopt : std::optional(text);
}

}  // namespace curfew
