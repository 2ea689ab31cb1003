// Commits rows to a table on a thread of its own, one transaction at a time: the disk and the locks
// of other programs may take as long as they like, and the loop goes on.
//
//     IDLE --write(rows)--> WRITING --committed--> IDLE
//                             |  ^
//                 a lock, no room: waits, and tries again; what it waits for is said
//
// What fails in another way is said by each look() from then on, and nothing is tried again: after
// a sync that failed the next one may succeed without what was to be synced.
//
// Owned by the sink, which calls it on its thread.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "collector/sinks/outcome_table.h"
#include "common/process/poller.h"

namespace curfew {

class TableWriter {
public:
    enum class WaitsFor : std::uint8_t { nothing, lock, space };
    struct Said {
        bool idle = true;  ///< all that it was given is committed
        WaitsFor waits_for = WaitsFor::nothing;
    };

    /// Throws Unusable, std::system_error.
    TableWriter(std::string path, SyncMode sync);
    /// What is being tried is left: it is not there, or all of it is.
    ~TableWriter();
    TableWriter(const TableWriter&) = delete;
    TableWriter& operator=(const TableWriter&) = delete;

    /// Before the first write().
    /// What stands in the WAL may not be on the disk: at the end nothing of it is moved into the
    /// file.
    void leave_wal() { leaves_wal_ = true; }
    [[nodiscard]] OutcomeTable& table() { return *table_; }

    /// Where things stand. Throws std::system_error.
    [[nodiscard]] Said look();
    /// When it is idle. They are its own until it is idle again.
    void write(const OutcomeRows& rows);
    /// When it is idle. Nothing more will come: closes the table. True when that is done.
    [[nodiscard]] bool close();
    /// Wakes the loop when look() or close() say something else.
    void wait_for(Poller& poller) const { poller.add(event_); }

private:
    struct Trouble {
        WaitsFor waits_for = WaitsFor::nothing;
        int error = 0;  // errno, where it is final
        std::string text{};
    };
    void work();
    [[nodiscard]] bool finish(std::unique_lock<std::mutex>& lock);
    template <typename Step>
    [[nodiscard]] Trouble attempt(Step&& step) const;
    void say() const;

    const std::string path_;
    std::unique_ptr<OutcomeTable> table_;  // the thread's own, once it was given something
    int event_ = -1;
    struct Shared {
        const OutcomeRows* rows = nullptr;  // to be written
        Trouble trouble;
        bool closes = false, closed = false, ends = false;
    };
    std::mutex mutex_;
    std::condition_variable asks_;
    Shared shared_;  // guarded by mutex_
    std::thread thread_;
    bool leaves_wal_ = false;
};

}  // namespace curfew
