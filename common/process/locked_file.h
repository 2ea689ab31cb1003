// A file that one process at a time has: opened, and locked (flock) as long as it is open.
#pragma once

#include <string>

#include "common/words/vocabulary.h"

namespace curfew {

/// The one before may be on its way out.
inline constexpr Duration kLockPatience = std::chrono::seconds(2);

/// Makes it if it is not there, with this mode. Waits for the lock, and opens again what was
/// replaced meanwhile. Returns the descriptor (read and write, close-on-exec), or -1 with errno:
/// EWOULDBLOCK where another process has it for longer than kLockPatience. Blocks: for the start of
/// a process.
[[nodiscard]] int open_locked(const std::string& path, unsigned mode = 0666);

/// The name of the file itself, where links lead to; of what is not there the name as it is.
[[nodiscard]] std::string without_links(const std::string& path);

/// A name that is new, or means another file, is found after a power loss when its folder was
/// synced. Blocks; what fails is passed over.
void sync_folder_of(const std::string& name);

}  // namespace curfew
