#include "collector/sinks/sqlite.h"

#include <algorithm>
#include <cerrno>
#include <vector>

#include "common/process/log.h"

namespace curfew {

SqliteSink::SqliteSink(const std::string& path, SyncMode sync)
    : name_("sqlite:" + path), file_(path), space_(name_), lock_(name_), writer_(path, sync) {
    OutcomeTable& table = writer_.table();
    memory_ = table.memory();
    if (sync == SyncMode::each_second) syncer_ = std::make_unique<Syncer>(std::vector<int>{table.wal()});
    log::info("sink_knows_what_it_has sink={} epoch={} intervals={} not_completed={}", log::quoted(name_),
              memory_->epoch, memory_->settled.size(), memory_->not_completed.size());
}

void SqliteSink::flush(Instant now, Written& written) {
    const TableWriter::Said said = writer_.look();
    // A disk that takes longer than a second holds what is said
    if (said.idle && !pace_.holds(now, is_synced())) {
        say_committed(written);
        if (!rows_.empty()) {
            std::swap(rows_, given_);
            writer_.write(given_);
            ++transactions_;
        }
    }
    say_wait(now, said.waits_for);
    if (syncer_ != nullptr && pace_.take_ask(now, is_synced(), committed_ != syncer_->asked()))
        syncer_->ask(committed_);
}

void SqliteSink::forget_waiting() {
    for (const OutcomeRows* rows : {&given_, &rows_}) {
        for (const OutcomeRows::Row& row : rows->rows()) {
            if (row.epoch != kept_.epoch) kept_ = {.epoch = row.epoch, .seqs = {}};
            (void)kept_.seqs.insert(row.seq);
        }
    }
}

void SqliteSink::say_committed(Written& written) {
    for (const OutcomeRows::Row& row : given_.rows()) written.emplace_back(row.sync, row.seq);
    committed_ += given_.rows().size();
    bytes_ += given_.bytes();
    given_.clear();
}

void SqliteSink::say_wait(Instant now, TableWriter::WaitsFor what) {
    if (what == TableWriter::WaitsFor::space) {
        (void)space_.is_full(ENOSPC, now);
    } else {
        space_.has_taken();
    }
    if (what == TableWriter::WaitsFor::lock) {
        lock_.waits(now, "a lock", "another program has the database locked (fuser names it)");
    } else {
        lock_.over(now);
    }
}

bool SqliteSink::is_synced() {
    if (syncer_ == nullptr) return true;
    try {
        return syncer_->done() == syncer_->asked();
    } catch (const std::system_error&) {
        writer_.leave_wal();  // nothing of it is moved into the file any more
        throw;
    }
}

std::string_view SqliteSink::waits_for() const {
    return space_.waits() ? std::string_view("space") : lock_.what();
}

Instant SqliteSink::next_deadline() const {
    if (syncer_ == nullptr) return lock_.next_deadline();
    return std::min(lock_.next_deadline(), pace_.next_deadline(syncer_->known() == syncer_->asked()));
}

void SqliteSink::wait_for(Poller& poller) {
    writer_.wait_for(poller);
    if (syncer_ != nullptr) syncer_->wait_for(poller);
}

/// The last second is synced first: whether SQLite moves all of it into the file when it is closed
/// depends on who reads.
bool SqliteSink::close(Instant, Instant) {
    if (closed_) return true;
    if (syncer_ != nullptr) {
        syncer_->ask(committed_);
        if (syncer_->done() != committed_) return false;
    }
    if (!writer_.close()) return false;
    log::info("sink_ends sink={} outcomes={} transactions={}", log::quoted(name_), committed_, transactions_);
    return closed_ = true;
}

}  // namespace curfew
