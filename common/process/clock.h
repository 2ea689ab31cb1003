// The clock of a process: monotonic, and it stands while the process stands still (SIGSTOP, a
// frozen container, a machine that was paused). So silence is judged, and deadlines and leases run,
// only over time in which this process itself ran: a whole group that stood still goes on as if
// nothing had been.
//
// One for each process, since every instant in it is of this clock. The loop that owns the
// process's time (Daemon, the supervisor) watches it with a StandstillWatch; all else only asks.
// now() may be called on any thread. Where a process does not watch, it is the system's monotonic
// clock.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <utility>

#include "common/words/vocabulary.h"

namespace curfew {

class Clock {
public:
    [[nodiscard]] static Instant now() { return std::chrono::steady_clock::now() - stood(); }
    /// How long it stood, in all.
    [[nodiscard]] static Duration stood() { return Duration(stood_.load(std::memory_order_relaxed)); }
    static void stand(Duration gap) { stood_.fetch_add(gap.count(), std::memory_order_relaxed); }
    /// What the wall clock shows at that moment, in microseconds since 1970: for people, and to
    /// compare with other processes.
    [[nodiscard]] static std::uint64_t wall_us(Instant at) {
        const auto then = std::chrono::system_clock::now() - (now() - at);
        const auto since = std::chrono::duration_cast<std::chrono::microseconds>(then.time_since_epoch());
        return static_cast<std::uint64_t>(std::max<std::int64_t>(0, since.count()));
    }
    /// The same moment on the system's monotonic clock, unless the process stands still before it.
    [[nodiscard]] static Instant of_system(Instant at) { return at >= kNever - stood() ? kNever : at + stood(); }

private:
    inline static std::atomic<Duration::rep> stood_ = 0;
};

/// Notices that a loop stood still: between two looks more time has passed than the loop meant to
/// sleep, and some. Pure.
class StandstillWatch {
public:
    /// `most`: what may pass between two looks; more is not counted as time. The loop is to sleep
    /// for less.
    explicit StandstillWatch(Duration most) : most_(most) {}
    /// How much of the time since the last look does not count; zero at the first.
    [[nodiscard]] Duration look(Instant now) {
        const Instant before = std::exchange(looked_at_, now);
        const Duration gap = before == kNever ? Duration::zero() : now - before - most_;
        if (gap <= Duration::zero()) return Duration::zero();
        looked_at_ -= gap;  // from here on the clock says so
        return gap;
    }
    /// The loop has slept for as long as it likes: nothing was timed.
    void forget() { looked_at_ = kNever; }

private:
    Duration most_;
    Instant looked_at_ = kNever;
};

}  // namespace curfew
