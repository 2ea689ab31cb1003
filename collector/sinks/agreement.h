// Whether an output has what its journal tells of. After a power loss it may have the size and not
// the bytes: at its end, or in the middle, since a system writes pages in the order that it likes.
#pragma once

#include <cstdint>

#include "collector/sinks/written_file.h"

namespace curfew {

struct Agreement {
    std::uint64_t end = 0;  ///< of the journal, up to where the output has it all
    /// It is another file: so much of it is wrong that no power loss did it.
    bool is_another = false;
};

/// The last records are compared, as much as may wait for a sync: 64 MiB of the output, and two
/// million records. Throws std::system_error. Blocks: for the start of a process.
[[nodiscard]] Agreement compare(const WrittenFile& journal, const WrittenFile& output);

}  // namespace curfew
