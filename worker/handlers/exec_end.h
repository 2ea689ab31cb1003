// What the end of a run means for its attempt: a result, a failure and why, or that it was stopped.
// Pure.
#pragma once

#include <string>
#include <string_view>

#include "worker/handlers/exec.h"
#include "worker/supervisor/link.h"

namespace curfew {

[[nodiscard]] Traces traces_of(const DoneBody& done, std::string_view errors);
[[nodiscard]] WorkEnd failed(Slot slot, std::string error);

/// `note`: what the supervisor has to say of it; `result`: its stdout.
[[nodiscard]] WorkEnd end_of_run(const ExecOptions& options, Slot slot, const DoneBody& done, std::string_view note,
                                 std::string_view result);

}  // namespace curfew
