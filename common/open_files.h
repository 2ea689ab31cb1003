// Which files the processes of a group have open, by /proc: a source that is also a sink of the same group never ends.
// Each process opens its own first and looks at the others' then, so of two that start at once one sees it. What cannot
// be looked at (another user's, gone meanwhile) counts as nothing.
#pragma once

#include <sys/stat.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace curfew {

enum class OpenTo : std::uint8_t {
    only_read,  ///< and not written too
    write,      ///< read too, or not
};

/// A regular file.
struct FileId {
    dev_t device;
    ino_t number;
    bool operator==(const FileId&) const = default;
};

/// Of a process (an id, or "self").
[[nodiscard]] std::vector<FileId> open_files(const std::string& pid, OpenTo to);
/// Of all processes that have a lock in the run directory and run a program of this name.
[[nodiscard]] std::vector<FileId> open_files_in_group(const std::string& run_dir, std::string_view program, OpenTo to);

}  // namespace curfew
