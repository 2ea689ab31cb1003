// Files of programs: what the kernel runs them by, and why it would not.
//
// Free functions for a single thread. Reading is small and bounded; nothing fails, what cannot be
// read has no answer.
#pragma once

#include <optional>
#include <string>
#include <vector>

namespace curfew {

/// The first of these files that is there and may be executed; empty: none.
[[nodiscard]] std::string executable_of(const std::vector<std::string>& paths);

/// What is missing where a file is there and cannot run for that: "its interpreter
/// '/usr/bin/python9' is missing", as its first line or, in a binary, its loader has it. Empty
/// where nothing is missing, or it is not known.
[[nodiscard]] std::string missing_interpreter(const std::string& path);

/// Whether a shell may be tried on a file that the kernel does not know: not where its first line
/// holds a NUL byte. Calls the kernel and no more, for between fork and exec.
[[nodiscard]] bool may_be_a_script(const char* path);

/// Says what is wrong with a command that could never run.
[[nodiscard]] std::optional<std::string> wrong_with_command(const std::vector<std::string>& command);

}  // namespace curfew
