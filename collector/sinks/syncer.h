// Puts on the disk what was written, on a thread of its own: fdatasync may take as long as it
// likes, and the loop goes on. One at a time; what is written meanwhile shares the next.
//
// Owned by a sink, which calls it on its thread. A sync that fails is not tried again: pages that
// could not be written may count as clean from then on, and the next one would succeed without them
// (LWN, "PostgreSQL's fsync() surprise", 2018).
#pragma once

#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "common/process/poller.h"

namespace curfew {

/// What a power loss may take of the outcomes that were said to be written.
enum class SyncMode : std::uint8_t {
    always,       ///< nothing: an outcome counts when the disk has it
    each_second,  ///< at most those of the last second
    never,        ///< what the system had not written yet
};

class Syncer {
public:
    /// Each time in this order. The descriptors must outlive it. Throws std::system_error.
    explicit Syncer(std::vector<int> descriptors);
    /// Ends when a sync that is under way has ended.
    ~Syncer();
    Syncer(const Syncer&) = delete;
    Syncer& operator=(const Syncer&) = delete;

    /// All that was written up to `count` is to be on the disk. Counts only rise.
    void ask(std::uint64_t count);
    /// Up to where it is. Throws std::system_error, from a failure on each time.
    [[nodiscard]] std::uint64_t done();
    [[nodiscard]] std::uint64_t asked() const { return asked_; }
    /// The last answer of done().
    [[nodiscard]] std::uint64_t known() const { return known_; }
    /// Wakes the loop when done() has changed.
    void wait_for(Poller& poller) const { poller.add(event_); }

private:
    void work();
    [[nodiscard]] int sync_all() const;

    const std::vector<int> descriptors_;
    int event_ = -1;
    std::uint64_t known_ = 0;
    std::uint64_t asked_ = 0;  // the owner's copy of what is in `shared_`
    struct Shared {
        std::uint64_t asked = 0, done = 0;
        int error = 0;
        bool ends = false;
    };
    std::mutex mutex_;
    std::condition_variable asks_;
    Shared shared_;  // guarded by mutex_
    std::thread thread_;
};

}  // namespace curfew
