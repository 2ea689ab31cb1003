#include "collector/sinks/agreement.h"

#include <algorithm>
#include <optional>
#include <string_view>

#include "collector/sinks/journal.h"
#include "common/tables/crc32.h"

namespace curfew {
namespace {

constexpr std::uint64_t kCompared = 64 << 20, kMostRecords = 2'000'000;
constexpr std::uint64_t kNoChance = 16;  // so many are right in a file that is this one

/// The records of the journal from this place on whose bytes are in an output of that size.
template <typename Visit>
void each_record(const WrittenFile& journal, std::uint64_t at, std::uint64_t of_output, Visit&& visit) {
    InPieces pieces(journal);
    for (const std::uint64_t size = journal.size(); at + kJournalRecord <= size; at += kJournalRecord) {
        const auto record = sound_record(pieces.read(at, kJournalRecord), at);
        if (!record || record->size == 0 || record->end > of_output || record->end < record->size) continue;
        visit(at, *record);
    }
}

}  // namespace

/// The lowest that is wrong is where the output ends. What a power loss has taken is a hole.
/// Where something else is wrong, so many have to be right before it that this is no chance.
Agreement compare(const WrittenFile& journal, const WrittenFile& output) {
    const std::uint64_t of_output = output.size(), records = (journal.size() - kJournalHead) / kJournalRecord;
    const std::uint64_t from = kJournalHead + (records - std::min(records, kMostRecords)) * kJournalRecord;
    std::uint64_t last_end = 0;
    each_record(journal, from, of_output, [&](auto, const JournalRecord& record) { last_end = record.end; });

    std::uint64_t right_before = 0, from_wrong_on = 0;
    std::optional<std::uint64_t> wrong;
    bool power_took_it = true;
    InPieces bytes_of(output);
    each_record(journal, from, of_output, [&](std::uint64_t at, const JournalRecord& record) {
        const std::uint64_t begin = record.end - record.size;
        if (begin + kCompared < last_end) return;
        const std::string_view bytes = bytes_of.read(begin, record.size);
        const bool is_right = crc32_of(bytes) == record.of_bytes;
        if (!is_right) power_took_it = power_took_it && has_hole(bytes, begin);
        if (!is_right && !wrong) wrong = at;
        ++(wrong ? from_wrong_on : right_before);
    });
    if (!wrong) return {.end = journal.size()};
    return {.end = *wrong, .is_another = !power_took_it && right_before < std::min(from_wrong_on, kNoChance)};
}

}  // namespace curfew
