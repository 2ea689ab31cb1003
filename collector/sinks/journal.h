// The journal beside an output: which outcomes the output has, and where each ends. Pure; its file
// is JournaledFile's (journaled_file.h).
//
//     head    8 bytes of magic, 4 of version, 4 of CRC-32 (over the first 12)
//     record  32 bytes, little-endian, behind each other:
//             kind (1) outcome (1) reserved (2) check (4) number (8) end (8) of_bytes (4) size (4)
//
// `check` is the CRC-32 of the other 28 bytes and of the record's place in the file, so that a
// record counts at no other place. Kinds: an epoch begins (`number` is the epoch, `end` where the
// output is then), or an outcome is in the output (`number` is its task's; `end` is behind its last
// byte; `size` and `of_bytes` are the size and the CRC-32 of what stands there, 0 where the form
// has nothing for it). Records of fixed size: what a crash has torn is less than one, at the end.
//
// Who writes appends to the output first, then here. So after a crash both are cut to what both
// have, and the journal is the truth: what it does not have is done again.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "common/tables/crc32.h"
#include "common/words/vocabulary.h"

namespace curfew {

inline constexpr std::uint32_t kJournalVersion = 1;
inline constexpr std::size_t kJournalHead = 16, kJournalRecord = 32;
/// What a disk writes as a whole or not at all; a border of two is within a record of the journal.
inline constexpr std::size_t kSector = 512;

struct JournalRecord {
    enum class Kind : std::uint8_t { epoch = 1, outcome = 2 };
    Kind kind = Kind::outcome;
    Outcome outcome = Outcome::completed;
    std::uint64_t number = 0;
    std::uint64_t end = 0;       ///< of the output, in bytes
    std::uint32_t of_bytes = 0;  ///< CRC-32 of what it has for this outcome
    std::uint32_t size = 0;      ///< and its bytes
};

[[nodiscard]] std::string journal_head();
/// `at`: its place in the journal, in bytes.
void append_record(std::string& out, std::uint64_t at, const JournalRecord& record);

/// What is wrong with a journal that begins so; empty: nothing.
[[nodiscard]] std::string wrong_with_journal_head(std::string_view head);
/// The record at this place; none: what stands there is none.
[[nodiscard]] std::optional<JournalRecord> sound_record(std::string_view bytes, std::uint64_t at);
/// Of these bytes, which stand at this place of a file, the part in some sector is zeros alone: it
/// was never written, as a power loss leaves it where the system had written first what follows.
/// Whatever follows was not synced.
[[nodiscard]] bool has_hole(std::string_view bytes, std::uint64_t at);

}  // namespace curfew
