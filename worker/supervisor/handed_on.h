// Descriptors of the caller that a COMMAND names, as /dev/fd/N: what a shell makes of `3<file` and
// `<(command)`.
//
// Each attempt inherits its own: what is open for reading is opened anew, at the place where the
// caller's stood, so that no attempt reads another's part; what is open for writing is shared, as
// it is by all children of a shell, so that none writes over another's. A pipe to read from cannot
// be opened anew: the first attempt would eat it, so it is refused.
#pragma once

#include <string>
#include <vector>

#include "worker/supervisor/link.h"

namespace curfew {

struct HandedOn {
    std::vector<int> numbers;
    std::vector<OwnedDescriptor> descriptors;  ///< of the same files, one for each number
};

/// The numbers above 2 that stand behind /dev/fd/ or /proc/self/fd/ in an argument; each once.
[[nodiscard]] std::vector<int> descriptors_named(const std::vector<std::string>& command);

/// Those of them that this process has inherited; the others are the command's own affair. Throws
/// std::invalid_argument where one cannot be handed on, std::system_error.
[[nodiscard]] HandedOn take_handed_on(const std::vector<std::string>& command);

/// The same file for one attempt, on a number above `above`. Close-on-exec; -1 with errno.
[[nodiscard]] int open_for_attempt(int descriptor, int above);

}  // namespace curfew
