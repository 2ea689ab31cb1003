// Which files are open, by /proc. Of this process: a path that is a descriptor's name must not be
// one of our own. Of the processes of a group: a source that is also a sink of the same group never
// ends. Each process opens its own first and looks at the others' then, so of two that start at
// once one sees it. What cannot be looked at (another user's, gone meanwhile) counts as nothing.
#pragma once

#include <sys/stat.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace curfew {

/// The descriptor that /dev/stdout, /dev/fd/3 and their like are, also behind links; -1: an
/// ordinary path.
[[nodiscard]] int named_descriptor(const std::string& path);
/// It was open when the process began: all that we open ourselves is close-on-exec.
[[nodiscard]] bool is_inherited(int descriptor);

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
