#include "tests/support/faulty_sync.h"

#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

namespace curfew::support {

std::atomic<int> syncs = 0;
std::atomic<int> sync_error = 0;

}  // namespace curfew::support

/// In place of libc's.
extern "C" int fdatasync(int descriptor) {
    const int error = curfew::support::sync_error;  // first: who has seen a sync may change it
    ++curfew::support::syncs;
    if (error != 0) {
        errno = error;
        return -1;
    }
    return static_cast<int>(syscall(SYS_fdatasync, descriptor));
}
