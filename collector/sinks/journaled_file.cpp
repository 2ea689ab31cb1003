#include "collector/sinks/journaled_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <system_error>

#include "collector/sinks/unsynced.h"
#include "common/process/locked_file.h"
#include "common/process/log.h"
#include "common/process/options.h"
#include "common/words/exit_code.h"

namespace curfew {
namespace {

using namespace std::chrono_literals;

constexpr std::size_t kPiece = 1 << 20;
constexpr std::size_t kTurn = 16 << 20;

[[noreturn]] void refuse(const std::string& text) {
    throw Unusable(kExitUsage, text);
}

}  // namespace

// ---- a file that is written --------------------------------------------------------------------

std::uint64_t WrittenFile::size() const {
    struct stat found {};
    if (::fstat(descriptor(), &found) != 0) cannot_write(path_, errno);
    return static_cast<std::uint64_t>(found.st_size);
}

std::string WrittenFile::read(std::uint64_t at, std::size_t most) const {
    std::string bytes(most, '\0');
    std::size_t got = 0;
    while (got < most) {
        const ssize_t size = ::pread(descriptor(), bytes.data() + got, most - got, static_cast<off_t>(at + got));
        if (size < 0 && errno == EINTR) continue;
        if (size < 0) throw std::system_error(errno, std::generic_category(), fmt::format("cannot read '{}'", path_));
        if (size == 0) break;
        got += static_cast<std::size_t>(size);
    }
    bytes.resize(got);
    return bytes;
}

void WrittenFile::cut(std::uint64_t at) {
    if (size() > at && ::ftruncate(descriptor(), static_cast<off_t>(at)) != 0) cannot_write(path_, errno);
    at_ = at;
}

int WrittenFile::write_some(std::size_t most) {
    const std::uint64_t stop = at_ + std::min<std::uint64_t>(most, out_.size() - sent_);
    while (at_ < stop) {
        const std::size_t piece = std::min<std::size_t>(kPiece, stop - at_);
        const ssize_t size = ::pwrite(descriptor(), out_.data() + sent_, piece, static_cast<off_t>(at_));
        if (size < 0 && errno == EINTR) continue;
        if (size < 0) return errno;
        sent_ += static_cast<std::size_t>(size);
        at_ += static_cast<std::size_t>(size);
    }
    // What is written goes when it is the larger part, so that each byte moves once on average
    if (sent_ > out_.size() / 2) {
        out_.erase(0, std::exchange(sent_, 0));
        if (out_.empty() && out_.capacity() > kPiece) std::string().swap(out_);
    }
    return 0;
}

// ---- its start ---------------------------------------------------------------------------------

/// What a sync that failed has left is known before anything of it is opened.
JournaledFile::Place JournaledFile::made_sure(const Place& place) {
    copy_what_is_unsynced(place.path, {place.path, place.journal});
    return place;
}

JournaledFile::JournaledFile(const Place& place, Format format)
    : place_(made_sure(place)), format_(format), output_(place.path), journal_(place.journal), space_(place.path) {
    memory_.emplace();
    begin();
    began_at_ = output_.written();
    // What is said to be there is on the disk, in each mode, and so is what was cut
    if (const int error = journal_.write_some(kPiece); error != 0) cannot_write(place_.journal, error);
    for (const WrittenFile* file : {&output_, &journal_}) {
        if (::fdatasync(file->descriptor()) == 0) continue;
        const int error = errno;
        mark_unsynced(place_.path);
        cannot_write(place_.path, error);
    }
    sync_folder_of(place_.path);
    sync_folder_of(place_.journal);
    if (place_.sync == SyncMode::never) return;
    syncer_ = std::make_unique<Syncer>(std::vector<int>{output_.descriptor(), journal_.descriptor()});
}

/// How much of the header the output has: it may have been killed within it.
std::uint64_t JournaledFile::begun() const {
    const std::string found = output_.read(0, place_.header.size());
    return place_.header.starts_with(found) ? found.size() : 0;
}

void JournaledFile::begin() {
    if (journal_.size() < kJournalHead) {
        // Also one that was torn before its first record
        if (output_.size() > begun())
            refuse(
                fmt::format("'{}' has {} bytes, and no journal of them at '{}': what of it is done is not known. "
                            "Move it away, or name another output",
                            place_.path, output_.size(), place_.journal));
        journal_.cut(0);
        journal_.append(journal_head());
        output_.cut(0);
        output_.append(place_.header);
        return;
    }
    check_head();
    const std::uint64_t whole = read_journal(sound_end());
    if (last_.end == 0) last_.end = begun();
    const std::uint64_t cut_journal = journal_.size() - whole;
    const std::uint64_t cut_output = set_aside(output_, last_.end);
    journal_.cut(whole);
    output_.cut(last_.end);
    if (last_.end < place_.header.size()) output_.append(place_.header.substr(last_.end));
    memory_->epoch = epoch_;
    memory_->settled = has_.intervals();
    log::info("sink_goes_on_where_it_was sink={} epoch={} outcomes={} cut_bytes={} cut_journal_bytes={}",
              log::quoted(place_.path), epoch_, has_.size(), cut_output, cut_journal);
}

/// What is cut off may be somebody's: it stays beside the file. Returns how many bytes that are.
std::uint64_t JournaledFile::set_aside(const WrittenFile& file, std::uint64_t from) const {
    const std::uint64_t size = file.size();
    if (size <= from) return 0;
    const std::string aside = place_.path + ".cut";
    const int descriptor = ::open(aside.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    if (descriptor < 0) cannot_write(aside, errno);
    for (std::uint64_t at = from; at < size;) {
        const std::string part = file.read(at, kPiece);
        if (part.empty()) break;
        if (::write(descriptor, part.data(), part.size()) != static_cast<ssize_t>(part.size())) {
            const int error = errno;
            ::close(descriptor);
            cannot_write(aside, error);
        }
        at += part.size();
    }
    ::close(descriptor);
    log::warn("sink_cut sink={} bytes={} kept_in={} reason=\"its journal does not have them: they are done again\"",
              log::quoted(place_.path), size - from, log::quoted(aside));
    return size - from;
}

/// Where the journal ends, as far as the output has what its last records tell: after a power loss
/// it may have the size and not the bytes. The last ones are compared, as much as may wait for a
/// sync, until so many in a row are right that this is no chance; else it is another file.
std::uint64_t JournaledFile::sound_end() const {
    constexpr std::uint64_t kCompared = 64 << 20, kNoChance = 16;
    const std::uint64_t of_output = output_.size();
    std::uint64_t end = kJournalHead + (journal_.size() - kJournalHead) / kJournalRecord * kJournalRecord;
    std::uint64_t compared = 0, wrong = 0, right = 0;
    for (std::uint64_t at = end; at > kJournalHead && compared < kCompared && right < kNoChance;) {
        at -= kJournalRecord;
        const auto record = sound_record(journal_.read(at, kJournalRecord), at);
        if (!record || record->end > of_output || record->size == 0) continue;
        compared += record->size;
        const std::uint64_t begins = record->end - record->size;
        const std::string found = output_.read(begins, record->size);
        if (crc32_of(found) == record->of_bytes) {
            ++right;
            continue;
        }
        // What was never written is no sign of another file
        if (!has_hole(found, begins)) wrong += right + 1;
        right = 0;
        end = at;
    }
    if (right >= std::min(wrong, kNoChance)) return end;
    refuse(
        fmt::format("'{}' is not the file that the journal '{}' tells of: the last outcomes in it are others. Name the "
                    "right one, or move both away",
                    place_.path, place_.journal));
}

void JournaledFile::check_head() const {
    if (const std::string wrong = wrong_with_journal_head(journal_.read(0, kJournalHead)); !wrong.empty())
        refuse(fmt::format("the journal '{}': {}. Without it what '{}' has is not known: move both away, or restore it",
                           place_.journal, wrong, place_.path));
}

/// Up to where the journal tells of what the output has. What follows has been torn, or stands in
/// an output that is shorter.
std::uint64_t JournaledFile::read_journal(std::uint64_t size) {
    const std::uint64_t of_output = output_.size();
    std::uint64_t at = kJournalHead;
    std::string part;
    std::uint64_t part_at = at;
    for (; at + kJournalRecord <= size; at += kJournalRecord) {
        if (at + kJournalRecord > part_at + part.size()) part = journal_.read(part_at = at, kPiece);
        const auto record = sound_record(std::string_view(part).substr(at - part_at), at);
        if (!record) {
            const std::string_view found = std::string_view(part).substr(at - part_at, kJournalRecord);
            if (!has_hole(found, at)) refuse_damage_in_between(at, size);
            break;
        }
        if (record->end > of_output) break;
        last_ = *record;
        if (record->kind == JournalRecord::Kind::epoch) {
            epoch_ = record->number;
            has_.clear();
            memory_->not_completed.clear();
            continue;
        }
        has_.insert(record->number);
        if (record->outcome != Outcome::completed) memory_->not_completed[record->number] = record->outcome;
    }
    return at;
}

/// A crash of a process tears the last record alone. Where sound ones follow, to cut would do work
/// again that is done, and its outcomes would go.
void JournaledFile::refuse_damage_in_between(std::uint64_t at, std::uint64_t size) const {
    std::uint64_t sound = 0;
    std::string part;
    std::uint64_t part_at = 0;
    for (std::uint64_t next = at + kJournalRecord; next + kJournalRecord <= size; next += kJournalRecord) {
        if (next + kJournalRecord > part_at + part.size()) part = journal_.read(part_at = next, kPiece);
        sound += sound_record(std::string_view(part).substr(next - part_at), next).has_value();
    }
    if (sound == 0) return;
    refuse(
        fmt::format("the journal '{}' is damaged at byte {}, and {} sound records follow. Restore it; or cut it there "
                    "(truncate -s {}), and what they tell of is done again",
                    place_.journal, at, sound, at));
}

// ---- writing -----------------------------------------------------------------------------------

void JournaledFile::begin_epoch(Epoch epoch) {
    epoch_ = epoch;
    has_.clear();
    pending_.push_back(
        {.record = {.kind = JournalRecord::Kind::epoch, .number = epoch, .end = output_.end()}, .is_said = false});
}

void JournaledFile::put(const OutcomeRecord& outcome) {
    if (outcome.epoch != epoch_) begin_epoch(outcome.epoch);
    Pending& pending = pending_.emplace_back();
    pending.sync = outcome.sync;
    pending.is_recorded = has_.insert(outcome.seq);
    std::string& buffer = output_.buffer();
    const std::size_t before = buffer.size();
    if (pending.is_recorded) format_(buffer, outcome);
    const std::string_view bytes = std::string_view(buffer).substr(before);
    pending.record = {.outcome = outcome.outcome,
                      .number = outcome.seq,
                      .end = output_.end(),
                      .of_bytes = crc32_of(bytes),
                      .size = static_cast<std::uint32_t>(bytes.size())};
}

void JournaledFile::flush(Instant now, Written& written) {
    space_.tries();
    write_all(now);
    if (syncer_ == nullptr) return say_up_to(journaled_, written);
    const std::uint64_t synced = done();
    if (place_.sync == SyncMode::always) {
        syncer_->ask(journaled_);
        return say_up_to(synced, written);
    }
    if (pace_.take_ask(now, synced == syncer_->asked(), journaled_ != syncer_->asked())) syncer_->ask(journaled_);
    say_up_to(pace_.holds(now, synced == syncer_->asked()) ? synced : journaled_, written);
}

/// Up to where it is on the disk.
std::uint64_t JournaledFile::done() {
    try {
        return syncer_->done();
    } catch (const std::system_error&) {
        mark_unsynced(place_.path);
        throw;
    }
}

/// First the output, then the journal.
void JournaledFile::write_all(Instant now) {
    const auto takes = [&](WrittenFile& file, const std::string& name) {
        const std::uint64_t before = file.written();
        const int error = file.write_some(kTurn);
        if (file.written() > before) space_.has_taken();
        if (error != 0 && !space_.is_full(error, now)) cannot_write(name, error);
        return file.written() == file.end();
    };
    (void)takes(output_, place_.path);
    for (; recorded_ < pending_.size() && pending_[recorded_].record.end <= output_.written(); ++recorded_) {
        const Pending& next = pending_[recorded_];
        if (next.is_recorded) append_record(journal_.buffer(), journal_.end(), next.record);
    }
    if (takes(journal_, place_.journal)) journaled_ = said_ + recorded_;
}

/// The first so many, ever.
void JournaledFile::say_up_to(std::uint64_t count, Written& written) {
    for (; said_ < count; pending_.pop_front(), --recorded_, ++said_) {
        const Pending& first = pending_.front();
        if (first.is_said) written.emplace_back(first.sync, first.record.number);
    }
}

Instant JournaledFile::next_deadline() const {
    const bool unwritten = output_.written() != output_.end() || journal_.written() != journal_.end();
    const Instant rest = unwritten && !space_.waits() ? Instant::min() : space_.retry_at();
    if (syncer_ == nullptr) return rest;
    return std::min(rest, pace_.next_deadline(syncer_->known() == syncer_->asked()));
}

void JournaledFile::wait_for(Poller& poller) {
    if (syncer_ != nullptr) syncer_->wait_for(poller);
}

/// With Sync::always nothing waits when it is closed. Else the last second is synced.
bool JournaledFile::close(Instant, Instant) {
    if (syncer_ == nullptr) return true;
    syncer_->ask(journaled_);
    return done() == journaled_;
}

}  // namespace curfew
