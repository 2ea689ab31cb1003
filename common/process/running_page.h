// What a worker has in its slots, as a file that outlives it: `NAME.running` in the run directory.
// When a worker dies, its last reports may still be on their way; this page says what ran, so that
// --poison blames that and nothing else.
//
// The file: three numbers of 64 bits (magic, incarnation of the worker, slots), then session and
// number for each slot, both 0 where it is free. The page of the life before is kept as
// `NAME.running.before`: who asks may be later than the new life.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/process/mapped_file.h"
#include "common/words/vocabulary.h"

namespace curfew {

class RunningPage {
public:
    /// Throws std::system_error.
    RunningPage(const std::string& run_dir, const std::string& name, Incarnation worker, std::size_t slots);

    /// One for each slot; the worker's core writes them.
    [[nodiscard]] std::span<AttemptId> slots() const { return slots_; }

private:
    MappedFile file_;
    std::span<AttemptId> slots_;
};

/// What this life of the worker had in its slots, when it died or now; nothing if there is no page
/// of it here.
[[nodiscard]] std::optional<std::vector<AttemptId>> read_running(const std::string& run_dir, std::string_view name,
                                                                 Incarnation worker);

}  // namespace curfew
