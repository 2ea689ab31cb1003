#include "tests/simulation/two_files.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>
#include <string_view>

#include "common/words/mutant.h"

namespace curfew::simulation {
namespace {

std::optional<JournalRecord> record_at(std::string_view journal, std::size_t at) {
    return at + kJournalRecord <= journal.size() ? sound_record(journal.substr(at), at) : std::nullopt;
}

std::string line_of(Seq seq, Outcome outcome, std::string_view result) {
    return std::to_string(seq) + ' ' + std::string(name_of(outcome)) + ' ' + std::string(result) + '\n';
}

}  // namespace

void TwoFiles::File::lose_power(std::mt19937_64& random) {
    const auto dice = [&](std::size_t low, std::size_t high) {
        return std::uniform_int_distribution<std::size_t>(low, high)(random);
    };
    // Its size is written apart from its bytes
    if (dice(0, 1) == 0) bytes.resize(dice(synced, bytes.size()));
    const double arrived = std::array{0.0, 0.5, 0.9, 1.0}[dice(0, 3)];
    for (std::size_t at = synced; at < bytes.size();) {
        const std::size_t end = std::min(bytes.size(), (at / kSector + 1) * kSector);
        if (!std::bernoulli_distribution(arrived)(random)) std::fill(&bytes[at], bytes.data() + end, '\0');
        at = end;
    }
}

// ---- its start ---------------------------------------------------------------------------------

Settled::Memory TwoFiles::begin() {
    const std::size_t synced = journal_.synced;
    if (journal_.bytes.size() < kJournalHead) journal_.bytes = journal_head();
    Settled::Memory memory;
    IntervalSet settled;
    std::size_t output_end = 0, at = kJournalHead;
    for (const std::size_t end = sound_end(); at + kJournalRecord <= end; at += kJournalRecord) {
        const std::optional<JournalRecord> record = record_at(journal_.bytes, at);
        if (!record) refuse_damage_in_between(at);
        if (!record || (record->end > output_.bytes.size() && !mutated(Mutant::journal_ahead))) break;
        output_end = record->end;
        if (record->kind == JournalRecord::Kind::epoch) {
            memory = {.epoch = record->number, .settled = {}, .not_completed = {}};
            settled.clear();
            continue;
        }
        settled.insert(record->number);
        if (record->outcome != Outcome::completed) memory.not_completed[record->number] = record->outcome;
    }
    if (at < synced || output_end < output_.synced) broken_ = "the sink has lost what it had synced";
    journal_.cut(at);
    output_.cut(output_end);
    sync();
    epoch_ = memory.epoch;
    memory.settled = settled.intervals();
    return memory;
}

/// Up to the first record of which the output has not the bytes.
std::size_t TwoFiles::sound_end() {
    constexpr std::size_t kNoChance = 16;
    std::size_t end = journal_.bytes.size(), right = 0, others = 0;
    for (std::size_t at = kJournalHead; at + kJournalRecord <= journal_.bytes.size(); at += kJournalRecord) {
        const std::optional<JournalRecord> record = record_at(journal_.bytes, at);
        if (!record || record->end > output_.bytes.size() || record->size == 0) continue;
        const std::string_view found = bytes_of(*record);
        const bool is_right = crc32_of(found) == record->of_bytes;
        right += is_right && end > at;
        if (!is_right) end = std::min(end, at);
        others += !is_right && !has_hole(found, record->end - record->size);
    }
    if (mutated(Mutant::journal_ahead)) return journal_.bytes.size();
    if (right < std::min(others, kNoChance)) broken_ = "the sink takes its own output for another file";
    return end;
}

std::string_view TwoFiles::bytes_of(const JournalRecord& record) const {
    return std::string_view(output_.bytes).substr(record.end - record.size, record.size);
}

void TwoFiles::refuse_damage_in_between(std::size_t at) {
    if (has_hole(std::string_view(journal_.bytes).substr(at, kJournalRecord), at)) return;
    for (at += kJournalRecord; at + kJournalRecord <= journal_.bytes.size(); at += kJournalRecord) {
        if (record_at(journal_.bytes, at)) broken_ = "the sink refuses a journal that nobody has damaged";
    }
}

// ---- writing -----------------------------------------------------------------------------------

void TwoFiles::put(const OutcomeRecord& outcome) {
    if (outcome.epoch != epoch_) {
        epoch_ = outcome.epoch;
        append_record(journal_.bytes, journal_.bytes.size(),
                      {.kind = JournalRecord::Kind::epoch, .number = outcome.epoch, .end = output_.bytes.size()});
    }
    const std::string line = line_of(outcome.seq, outcome.outcome, outcome.result.view());
    output_.bytes += line;
    append_record(journal_.bytes, journal_.bytes.size(),
                  {.outcome = outcome.outcome,
                   .number = outcome.seq,
                   .end = output_.bytes.size(),
                   .of_bytes = crc32_of(line),
                   .size = static_cast<std::uint32_t>(line.size())});
}

void TwoFiles::sync() {
    output_.synced = output_.bytes.size();
    journal_.synced = journal_.bytes.size();
}

/// A part of an outcome; or all of it, and of its record a part.
void TwoFiles::die_while_writing(std::mt19937_64& random) {
    const std::string line = line_of(1'000'000, Outcome::completed, "of which nobody was told");
    std::string record;
    append_record(record, journal_.bytes.size(),
                  {.number = 1'000'000,
                   .end = output_.bytes.size() + line.size(),
                   .of_bytes = crc32_of(line),
                   .size = static_cast<std::uint32_t>(line.size())});
    const auto written = std::uniform_int_distribution<std::size_t>(0, line.size() + record.size() - 1)(random);
    output_.bytes += line.substr(0, written);
    if (written > line.size()) journal_.bytes += record.substr(0, written - line.size());
}

void TwoFiles::lose_power(std::mt19937_64& random) {
    output_.lose_power(random);
    journal_.lose_power(random);
}

// ---- as somebody else sees it ------------------------------------------------------------------

std::map<Seq, std::uint32_t> TwoFiles::lines() const {
    std::map<Seq, std::uint32_t> found;
    const std::string_view bytes = output_.bytes;
    for (std::size_t at = 0, end = 0; (end = bytes.find('\n', at)) != std::string_view::npos; at = end + 1) {
        const std::string_view line = bytes.substr(at, end - at);
        Seq seq = 0;
        const auto number = std::from_chars(line.data(), line.data() + line.size(), seq);
        const bool whole = number.ptr != line.data() && line.find('\0') == std::string_view::npos;
        ++found[whole ? seq : 0];
    }
    if (!bytes.empty() && bytes.back() != '\n') ++found[0];
    return found;
}

}  // namespace curfew::simulation
