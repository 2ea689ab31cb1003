// What a process knows of itself, and what it does with itself: memory, processor time,
// descriptors. Free functions; nothing fails.
#pragma once

#include <sys/resource.h>

#include <cstddef>
#include <cstdint>
#include <string>

namespace curfew {

/// Of the machine; empty where it has none.
[[nodiscard]] std::string host_name();
/// Of all its threads, so far.
[[nodiscard]] double processor_seconds();
/// Memory that it has in RAM.
[[nodiscard]] std::uint64_t resident_kib();
/// Of a folder, by its path: /proc/self/fd has the descriptors, /proc/self/task the threads.
[[nodiscard]] std::size_t entries_of(const char* directory);
/// Gives memory that nobody uses back to the system.
void trim_memory();
/// Raises the soft limit of descriptors to the hard one. Returns what it was before, RLIM_INFINITY
/// where that is not known.
[[nodiscard]] rlim_t raise_descriptor_limit();
/// A closed stdin, stdout or stderr would be given to the next thing that is opened. What takes its
/// place fails when it is used, as the closed one would: stdin cannot be read, stdout cannot be
/// written.
void hold_standard_descriptors();

}  // namespace curfew
