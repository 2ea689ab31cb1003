#include "monitor/letter_view.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <utility>

#include "monitor/terminal_text.h"

namespace curfew {
namespace {

constexpr std::size_t kMostOfCell = 400;      // bytes of a text that go into a table
constexpr std::size_t kMostOfMessage = 4096;  // bytes that are shown of a whole letter
constexpr std::string_view kRefused = "over --max-message";

std::string beginning(std::string_view text, bool utf8) {
    return clean(text.substr(0, kMostOfCell), utf8);
}

std::string in_units(std::uint64_t count, std::string_view noun) {
    return fmt::format("{} {}{}", count, noun, count == 1 ? "" : "s");
}

/// Where a refusal says its place, that is another reason each time.
std::string_view reason_of(const Letter& letter) {
    return letter.refused ? kRefused : std::string_view(letter.error);
}

/// Each line of it by itself, indented.
std::string indented(std::string_view text, bool utf8) {
    std::string out;
    for (;;) {
        const std::size_t end = text.find('\n');
        out += "    " + escaped(text.substr(0, end), utf8) + "\n";
        if (end == std::string_view::npos) return out;
        text.remove_prefix(end + 1);
    }
}

std::string message_text(const Letter& letter, bool utf8) {
    const std::string_view shown = std::string_view(letter.message).substr(0, kMostOfMessage);
    const std::uint64_t size = letter.refused ? letter.refused->size : letter.message.size();
    std::string out = fmt::format("message   {}", in_units(size, "byte"));
    if (shown.size() < size) out += fmt::format(", of which these are the first {}", shown.size());
    if (letter.is_cut()) out += ": the letter has no more of it";
    return out + "\n" + indented(shown, utf8);
}

}  // namespace

std::vector<Table::Column> letter_columns() {
    return {{.title = "seq", .least = 3, .number = true},
            {.title = "outcome", .least = 9},
            {.title = "attempts", .least = 8, .number = true, .drop = 8},
            {.title = "reason", .least = 6, .elastic = true},
            {.title = "message", .least = 7, .elastic = true}};
}

Table::Row letter_row(const Letter& letter, bool utf8) {
    Table::Row row;
    row.seq = letter.seq;
    row.cells = {{.text = std::to_string(letter.seq), .value = static_cast<double>(letter.seq)},
                 {.text = std::string(name_of(letter.outcome))},
                 {.text = std::to_string(letter.attempts), .value = static_cast<double>(letter.attempts)},
                 {.text = beginning(reason_of(letter), utf8)},
                 {.text = beginning(letter.message, utf8)}};
    return row;
}

std::string place_of(const LetterRefusal& refused) {
    if (!refused.byte) return fmt::format("frame {} of the source", refused.number);
    return fmt::format("message {} of the input, byte offset {}", refused.number, *refused.byte);
}

std::string letter_text(const Letter& letter, bool utf8) {
    const double took = static_cast<double>(letter.latency_us) / 1e6;
    std::string out =
        fmt::format("task      {}{}\n", letter.epoch == 0 ? "" : fmt::format("{}-", letter.epoch), letter.seq);
    if (!letter.id.empty()) out += fmt::format("id        {}\n", beginning(letter.id, utf8));
    out += fmt::format("outcome   {} after {} in {}\n", name_of(letter.outcome), in_units(letter.attempts, "attempt"),
                       short_time(took));
    if (letter.refused) out += fmt::format("refused   {}\n", place_of(*letter.refused));
    if (letter.attempt != 0)
        out += fmt::format("rejected  attempt {} at {} ({})\n", letter.attempt, beginning(letter.worker, utf8),
                           beginning(letter.pool, utf8));
    out += "reason\n" + indented(std::string_view(letter.error).substr(0, kMostOfMessage), utf8);
    for (const LetterPast& past : letter.history) {
        out += fmt::format("attempt   {} at {}: {}\n", past.attempt, beginning(past.worker, utf8),
                           beginning(past.end, utf8));
        if (!past.error.empty()) out += indented(std::string_view(past.error).substr(0, kMostOfMessage), utf8);
    }
    return out + message_text(letter, utf8);
}

void LetterCounts::add(const Letter& letter) {
    ++all_;
    ++outcomes_[static_cast<std::size_t>(letter.outcome)];
    const std::string reason(reason_of(letter).substr(0, kMostOfCell));
    if (const auto at = reasons_.find(reason); at != reasons_.end()) {
        ++at->second;
    } else if (reasons_.size() < kMostReasons) {
        reasons_.emplace(reason, 1);
    } else {
        ++other_reasons_;
    }
}

std::string LetterCounts::line(int width, bool utf8) const {
    std::string out = in_units(all_, "letter");
    const char* before = ": ";
    for (std::size_t outcome = 1; outcome < outcomes_.size(); ++outcome) {
        if (outcomes_[outcome] == 0) continue;
        out += fmt::format("{}{} {}", std::exchange(before, ", "), outcomes_[outcome],
                           name_of(static_cast<Outcome>(outcome)));
    }
    std::vector<std::pair<std::uint64_t, std::string_view>> most;
    for (const auto& [reason, count] : reasons_) most.emplace_back(count, reason);
    std::ranges::stable_sort(most, std::greater<>(), &std::pair<std::uint64_t, std::string_view>::first);
    before = "; most often: ";
    constexpr int kLeast = 12;  // columns of a reason, else it says nothing
    for (const auto& [count, reason] : most) {
        const std::string tail = fmt::format(" ({})", count);
        const std::string text = clean(reason, utf8);
        const int room = width - columns_of(out) - columns_of(before) - columns_of(tail);
        if (room < std::min(kLeast, columns_of(text))) break;
        out += std::exchange(before, ", ") + (columns_of(text) > room ? cut(text, room - 1) + "~" : text) + tail;
    }
    return out;
}

}  // namespace curfew
