#include "collector/sinks/table_writer.h"

#include <fmt/format.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <system_error>
#include <utility>

#include "common/process/quiet_thread.h"

namespace curfew {
namespace {

using namespace std::chrono_literals;

constexpr auto kRoomAgain = 500ms;  // a full disk
constexpr auto kLockAgain = 20ms;   // SQLite has waited, too

}  // namespace

TableWriter::TableWriter(std::string path, SyncMode sync)
    : path_(std::move(path)),
      table_(std::make_unique<OutcomeTable>(path_, sync)),
      event_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
    if (event_ < 0) throw std::system_error(errno, std::generic_category(), "eventfd");
    thread_ = quiet_thread([this] { work(); });
}

TableWriter::~TableWriter() {
    {
        const std::lock_guard lock(mutex_);
        shared_.ends = true;
    }
    asks_.notify_one();
    thread_.join();
    if (leaves_wal_) table_->give_up();
    ::close(event_);
}

TableWriter::Said TableWriter::look() {
    std::uint64_t events = 0;
    (void)!::read(event_, &events, sizeof events);
    const std::lock_guard lock(mutex_);
    if (shared_.trouble.error != 0)
        throw std::system_error(shared_.trouble.error, std::generic_category(), shared_.trouble.text);
    return {.idle = shared_.rows == nullptr, .waits_for = shared_.trouble.waits_for};
}

void TableWriter::write(const OutcomeRows& rows) {
    {
        const std::lock_guard lock(mutex_);
        shared_.rows = &rows;
    }
    asks_.notify_one();
}

bool TableWriter::close() {
    (void)look();
    const std::lock_guard lock(mutex_);
    shared_.closes = true;
    asks_.notify_one();
    return shared_.closed;
}

// ---- the thread --------------------------------------------------------------------------------

void TableWriter::work() {
    std::unique_lock lock(mutex_);
    for (;;) {
        asks_.wait(lock, [this] { return shared_.ends || shared_.closes || shared_.rows != nullptr; });
        if (shared_.rows == nullptr) break;
        if (!finish(lock)) return;
    }
    if (shared_.ends) return;
    lock.unlock();
    table_.reset();
    lock.lock();
    shared_.closed = true;
    say();
}

/// Commits what it was given, however long that takes. False: it ends without.
bool TableWriter::finish(std::unique_lock<std::mutex>& lock) {
    for (;;) {
        const OutcomeRows& rows = *shared_.rows;
        lock.unlock();
        Trouble trouble = attempt([&] { table_->write(rows); });
        lock.lock();
        const bool is_news = trouble.waits_for != shared_.trouble.waits_for;
        shared_.trouble = std::move(trouble);
        if (shared_.trouble.error != 0) break;
        if (shared_.trouble.waits_for == WaitsFor::nothing) {
            shared_.rows = nullptr;
            say();  // what comes now holds up no outcome that is there
            lock.unlock();
            trouble = attempt([&] { table_->make_room(); });
            lock.lock();
            if (trouble.error == 0) return true;  // else there will be room later
            shared_.trouble = std::move(trouble);
            break;
        }
        if (is_news) say();
        const auto pause = shared_.trouble.waits_for == WaitsFor::space ? kRoomAgain : kLockAgain;
        if (asks_.wait_for(lock, pause, [this] { return shared_.ends; })) return false;
    }
    table_->give_up();
    say();
    return false;
}

template <typename Step>
TableWriter::Trouble TableWriter::attempt(Step&& step) const {
    try {
        step();
        return {};
    } catch (const DatabaseError& error) {
        if (error.is_lock()) return {.waits_for = WaitsFor::lock};
        if (error.is_full()) return {.waits_for = WaitsFor::space};
        const bool too_big = error.kind() == SQLITE_TOOBIG;
        const char* advice = too_big                ? ": a row has at most 1,000,000,000 bytes (--max-output, "
                                                      "--max-message), or use file:PATH"
                             : error.error == EFBIG ? ": as large as a file may be here (ulimit -f, or the most "
                                                      "of its file system)"
                                                    : "";
        return {.error = error.error != 0 ? error.error
                         : too_big        ? EFBIG
                                          : EIO,
                .text = fmt::format("cannot write to the sink sqlite:{}: {}{}", path_, error.what(), advice)};
    }
}

/// What it says has changed.
void TableWriter::say() const {
    const std::uint64_t one = 1;
    (void)!::write(event_, &one, sizeof one);
}

}  // namespace curfew
