// What a producer has sent and left behind is read, though reading was stopped when he left. libzmq
// 4.3.4 loses it on an ipc connection: a PULL at its receive mark asks epoll for nothing, epoll
// tells of a hang-up all the same, and the engine closes the connection with what the kernel still
// has of it (libzmq #4660).
//
// So a descriptor of which nothing is asked leaves the epoll set until something is, and while
// there is something to read or write a hang-up is not told: it is heard behind the last message.
// The place is `epoll_ctl` and `epoll_wait`, which programs that have this file define before libc
// does.
#pragma once

namespace curfew {

/// From now on, for all sockets of the process, on any thread. Before the first is made.
void keep_what_is_unread();

}  // namespace curfew
