#include "common/process/upkeep.h"

#include <chrono>
#include <cstdint>

#include "common/process/self.h"
#include "common/process/turned_away.h"

namespace curfew {

void Upkeep::turn(Instant now, Duration used, RunDir& run_dir, Sockets& sockets) {
    if (now < looks_at_) return;
    looks_at_ = now + std::chrono::seconds(1);
    keep_files(now, run_dir, sockets);
    sockets.read_events();
    if (const std::uint64_t count = turned_away_log_.grown(now, turned_away())) {
        log::warn("connections_refused count={} reason=\"out of descriptors (ulimit -n)\"", count);
    }
    // A burst leaves its memory with the allocator.
    if (pace_.calms_down(used)) trim_memory();
}

/// Somebody may clean up in /tmp, and a lock without its file keeps nobody out. The books and the
/// pages of what runs are mapped, and whoever reads them has them open.
void Upkeep::keep_files(Instant now, RunDir& run_dir, Sockets& sockets) {
    const bool had_lock = run_dir.keep();
    const Sockets::Kept kept = sockets.keep();
    if ((had_lock && kept.bound + kept.failed == 0) || !files_log_.now(now)) return;
    log::warn("files_removed run_dir={} sockets_bound_anew={} not_bound={} lock={} note=\"who cleans up there?\"",
              log::quoted(run_dir.path()), kept.bound, kept.failed, had_lock ? "kept" : "made anew");
}

}  // namespace curfew
