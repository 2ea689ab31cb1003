#include "collector/sinks/journal.h"

#include <algorithm>
#include <array>
#include <cstring>

namespace curfew {
namespace {

constexpr std::string_view kMagic = "curfewJ\n";
constexpr std::size_t kCheckAt = 4;

template <typename Number>
void put(std::string& out, Number value) {
    for (std::size_t i = 0; i < sizeof(Number); ++i) out.push_back(static_cast<char>(value >> (8 * i) & 0xff));
}
template <typename Number>
Number get(std::string_view bytes, std::size_t at) {
    Number value = 0;
    for (std::size_t i = 0; i < sizeof(Number); ++i)
        value = static_cast<Number>(value | static_cast<Number>(static_cast<unsigned char>(bytes[at + i])) << (8 * i));
    return value;
}

/// Of a whole record, its own four bytes left out.
std::uint32_t check_of(std::string_view record, std::uint64_t at) {
    std::string place;
    put(place, at);
    const std::uint32_t first = crc32_of(record.substr(0, kCheckAt), crc32_of(place, 0));
    return crc32_of(record.substr(kCheckAt + sizeof(std::uint32_t)), first);
}

}  // namespace

std::string journal_head() {
    std::string head(kMagic);
    put(head, kJournalVersion);
    put(head, crc32_of(head));
    return head;
}

void append_record(std::string& out, std::uint64_t at, const JournalRecord& record) {
    std::string bytes;
    bytes.reserve(kJournalRecord);
    put(bytes, static_cast<std::uint8_t>(record.kind));
    put(bytes, static_cast<std::uint8_t>(record.outcome));
    put(bytes, std::uint16_t{0});
    put(bytes, std::uint32_t{0});
    put(bytes, record.number);
    put(bytes, record.end);
    put(bytes, record.of_bytes);
    put(bytes, record.size);
    std::string check;
    put(check, check_of(bytes, at));
    out.append(bytes.replace(kCheckAt, check.size(), check));
}

std::string wrong_with_journal_head(std::string_view head) {
    if (head.size() < kJournalHead || !head.starts_with(kMagic)) return "it is no journal of curfew's";
    const auto version = get<std::uint32_t>(head, kMagic.size());
    if (get<std::uint32_t>(head, kMagic.size() + 4) != crc32_of(head.substr(0, kMagic.size() + 4)))
        return "its first bytes are damaged";
    if (version == 0 || version > kJournalVersion)
        return "it is of version " + std::to_string(version) + ", and this curfew reads up to " +
               std::to_string(kJournalVersion);
    return {};
}

std::optional<JournalRecord> sound_record(std::string_view bytes, std::uint64_t at) {
    if (bytes.size() < kJournalRecord) return std::nullopt;
    const std::string_view record = bytes.substr(0, kJournalRecord);
    if (get<std::uint32_t>(record, kCheckAt) != check_of(record, at)) return std::nullopt;
    const auto kind = get<std::uint8_t>(record, 0), outcome = get<std::uint8_t>(record, 1);
    if (kind < 1 || kind > 2 || outcome < 1 || outcome > kOutcomes) return std::nullopt;
    return JournalRecord{.kind = static_cast<JournalRecord::Kind>(kind),
                         .outcome = static_cast<Outcome>(outcome),
                         .number = get<std::uint64_t>(record, 8),
                         .end = get<std::uint64_t>(record, 16),
                         .of_bytes = get<std::uint32_t>(record, 24),
                         .size = get<std::uint32_t>(record, 28)};
}

bool has_hole(std::string_view bytes, std::uint64_t at) {
    while (!bytes.empty()) {
        const std::string_view part = bytes.substr(0, kSector - at % kSector);
        if (part.find_first_not_of('\0') == std::string_view::npos) return true;
        bytes.remove_prefix(part.size());
        at += part.size();
    }
    return false;
}

}  // namespace curfew
