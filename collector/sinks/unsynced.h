// What follows a sync that has failed. The system may count pages as written that are not: who
// reads them finds them, and the next sync succeeds without them (Rebello et al., "Can Applications
// Recover from fsync Failures?", USENIX ATC 2020). So whoever saw it leaves a mark beside the file,
// and the next start copies the file to pages that are new before it believes in it.
#pragma once

#include <string>
#include <vector>

namespace curfew {

/// Leaves PATH.unsynced. Nobody knows whether that reaches the disk.
void mark_unsynced(const std::string& path);

/// Where there is that mark: puts copies in the place of these files, synced, and takes the mark
/// away. What is not there is passed over. Throws Unusable where somebody else writes one of them,
/// std::system_error. Blocks: for the start of a process.
void copy_what_is_unsynced(const std::string& path, const std::vector<std::string>& files);

}  // namespace curfew
