#include "monitor/letter.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <utility>

#include "common/process/options.h"

namespace curfew {
namespace {

constexpr std::string_view kBase64 = "_base64";
constexpr int kMostDepth = 32;
constexpr std::size_t kMostHistory = 1000;

/// False if it is none; `text` is then what was read so far.
bool decode_base64(std::string& text) {
    constexpr std::string_view kAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    if (text.size() % 4 != 0) return false;
    const std::size_t pads = text.ends_with("==") ? 2 : text.ends_with("=") ? 1 : 0;
    std::string out;
    out.reserve(text.size() / 4 * 3);
    std::uint32_t bits = 0;
    for (std::size_t i = 0; i < text.size() - pads; ++i) {
        const std::size_t digit = kAlphabet.find(text[i]);
        if (digit == std::string_view::npos) return false;
        bits = bits << 6 | static_cast<std::uint32_t>(digit);
        if (i % 4 > 0) out += static_cast<char>(bits >> (6 - 2 * (i % 4)) & 0xffU);
    }
    text = std::move(out);
    return true;
}

std::optional<Outcome> outcome_named(std::string_view name) {
    for (const Outcome outcome : {Outcome::completed, Outcome::failed, Outcome::expired, Outcome::cancelled}) {
        if (name == name_of(outcome)) return outcome;
    }
    return std::nullopt;
}

/// EPOCH-SEQ; 0 where it is none, or another task's.
Epoch epoch_in(std::string_view task, Seq seq) {
    const std::size_t dash = task.find('-');
    if (dash == std::string_view::npos || parse_count(task.substr(dash + 1)) != seq) return 0;
    return parse_count(task.substr(0, dash)).value_or(0);
}

/// Takes what a letter has out of a line as it is parsed: nothing else is kept, so that a line of
/// brackets costs no more than its bytes.
class Taker : public nlohmann::json_sax<nlohmann::json> {
public:
    explicit Taker(Letter& letter) : letter_(letter) {}

    bool null() override { return goes_on(); }
    bool boolean(bool) override { return goes_on(); }
    bool number_integer(number_integer_t) override { return goes_on(); }
    bool number_float(number_float_t, const string_t&) override { return goes_on(); }
    bool binary(binary_t&) override { return goes_on(); }
    bool number_unsigned(number_unsigned_t value) override {
        if (std::uint64_t* to = number()) *to = value;
        return goes_on();
    }
    bool string(string_t& value) override {
        const bool encoded = key_.ends_with(kBase64);
        if (encoded) key_.resize(key_.size() - kBase64.size());
        std::string* to = text();
        if (to != nullptr && encoded && !decode_base64(value)) return false;
        if (to == &letter_.message) has_message_ = true;
        if (to != nullptr) *to = std::move(value);
        return goes_on();
    }
    bool start_object(std::size_t) override {
        ++depth_;
        if (depth_ == 2 && key_ == "refused") inside_ = Inside::refused, letter_.refused.emplace();
        if (depth_ == 3 && inside_ == Inside::history && letter_.history.size() < kMostHistory)
            letter_.history.emplace_back(), inside_ = Inside::past;
        return goes_on();
    }
    bool start_array(std::size_t) override {
        ++depth_;
        if (depth_ == 2 && key_ == "history") inside_ = Inside::history;
        return depth_ > 1 && goes_on();
    }
    bool end_object() override { return leaves(); }
    bool end_array() override { return leaves(); }
    bool key(string_t& name) override {
        key_ = std::move(name);
        return true;
    }
    bool parse_error(std::size_t, const std::string&, const nlohmann::json::exception&) override { return false; }

    /// Behind the line.
    [[nodiscard]] LineKind kind() {
        const auto outcome = outcome_named(outcome_);
        if (!outcome || letter_.seq == 0 || letter_.seq == UINT64_MAX) return LineKind::foreign;
        if (*outcome == Outcome::completed) return LineKind::completed;
        letter_.outcome = *outcome;
        letter_.epoch = epoch_in(task_, letter_.seq);
        if (letter_.refused) letter_.refused->number = std::max(letter_.refused->number, frame_);
        if (has_byte_) letter_.refused->byte = byte_;
        return has_message_ ? LineKind::letter : LineKind::foreign;
    }

private:
    enum class Inside : std::uint8_t { nothing, history, past, refused };
    template <typename Value>
    struct Field {
        std::string_view name;
        Value* to;
    };

    template <typename Value, std::size_t n>
    [[nodiscard]] Value* among(const std::array<Field<Value>, n>& fields) const {
        const auto at = std::ranges::find(fields, std::string_view(key_), &Field<Value>::name);
        return at != fields.end() ? at->to : nullptr;
    }
    /// Where a number of this name belongs; null: nowhere.
    [[nodiscard]] std::uint64_t* number() {
        if (depth_ == 1) {
            return among<std::uint64_t, 4>({{{"seq", &letter_.seq},
                                             {"attempt", &letter_.attempt},
                                             {"attempts", &letter_.attempts},
                                             {"latency_us", &letter_.latency_us}}});
        }
        if (depth_ == 3 && inside_ == Inside::past)
            return key_ == "attempt" ? &letter_.history.back().attempt : nullptr;
        if (depth_ != 2 || inside_ != Inside::refused) return nullptr;
        has_byte_ |= key_ == "byte";
        return among<std::uint64_t, 4>({{{"line", &letter_.refused->number},
                                         {"frame", &frame_},
                                         {"byte", &byte_},
                                         {"size", &letter_.refused->size}}});
    }
    [[nodiscard]] std::string* text() {
        if (depth_ == 1) {
            return among<std::string, 7>({{{"outcome", &outcome_},
                                           {"task", &task_},
                                           {"id", &letter_.id},
                                           {"error", &letter_.error},
                                           {"worker", &letter_.worker},
                                           {"pool", &letter_.pool},
                                           {"message", &letter_.message}}});
        }
        if (depth_ != 3 || inside_ != Inside::past) return nullptr;
        LetterPast& past = letter_.history.back();
        return among<std::string, 3>({{{"worker", &past.worker}, {"end", &past.end}, {"error", &past.error}}});
    }
    [[nodiscard]] bool goes_on() const { return depth_ > 0 && depth_ <= kMostDepth; }
    bool leaves() {
        --depth_;
        if (depth_ == 2 && inside_ == Inside::past) inside_ = Inside::history;
        if (depth_ == 1) inside_ = Inside::nothing;
        return true;
    }

    Letter& letter_;
    int depth_ = 0;
    Inside inside_ = Inside::nothing;
    std::string key_, outcome_, task_;
    std::uint64_t frame_ = 0, byte_ = 0;
    bool has_byte_ = false, has_message_ = false;
};

}  // namespace

LineKind read_letter(std::string_view line, Letter& letter) {
    letter = {};
    Taker taker(letter);
    if (!nlohmann::json::sax_parse(line, &taker)) return LineKind::foreign;
    return taker.kind();
}

}  // namespace curfew
