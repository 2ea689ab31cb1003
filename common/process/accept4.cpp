// `accept4` in place of libc's, for libzmq: see turned_away.h. Only the daemons link this file. A
// user's program that links curfew::worker keeps the function of libc.
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

#include "common/process/turned_away.h"

extern "C" int accept4(int listener, sockaddr* address, socklen_t* size, int flags) {
    const auto accepted = syscall(SYS_accept4, listener, address, size, flags);
    if (accepted >= 0 || (errno != EMFILE && errno != ENFILE)) return static_cast<int>(accepted);
    curfew::turn_away(listener);
    errno = ECONNABORTED;  // libzmq then goes on as if nobody had called
    return -1;
}
