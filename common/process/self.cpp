#include "common/process/self.h"

#include <fcntl.h>
#include <malloc.h>
#include <time.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <system_error>
#include <utility>

/// jemalloc's, where the program is linked to it.
extern "C" int mallctl(const char* name, void* old, std::size_t* old_size, void* value, std::size_t size)
    __attribute__((weak));

namespace curfew {

std::string host_name() {
    char name[256] = {};
    (void)::gethostname(name, sizeof name - 1);
    return name;
}

double processor_seconds() {
    timespec time{};
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

void trim_memory() {
    if (mallctl == nullptr) {
        malloc_trim(0);
    } else {
        // 4096: all of them (MALLCTL_ARENAS_ALL)
        mallctl("arena.4096.purge", nullptr, nullptr, nullptr, 0);
    }
}

rlim_t raise_descriptor_limit() {
    rlimit limit{};
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return RLIM_INFINITY;
    const rlim_t before = std::exchange(limit.rlim_cur, limit.rlim_max);
    if (before != limit.rlim_max) (void)setrlimit(RLIMIT_NOFILE, &limit);
    return before;
}

void hold_standard_descriptors() {
    for (int descriptor = 0; descriptor <= 2; ++descriptor) {
        if (fcntl(descriptor, F_GETFD) >= 0) continue;
        (void)!open("/dev/null", descriptor == 0 ? O_WRONLY : descriptor == 1 ? O_RDONLY : O_RDWR);
    }
}

std::uint64_t resident_kib() {
    std::ifstream statm("/proc/self/statm");
    std::uint64_t total = 0, resident = 0;
    statm >> total >> resident;
    return resident * static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE)) / 1024;
}

std::size_t entries_of(const char* directory) {
    std::error_code error;
    std::size_t count = 0;
    for (auto at = std::filesystem::directory_iterator(directory, error);
         !error && at != std::filesystem::directory_iterator(); at.increment(error)) {
        ++count;
    }
    return count;
}

}  // namespace curfew
