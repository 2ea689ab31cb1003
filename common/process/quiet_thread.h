// A thread beside the loop. Signals are the loop's: none is delivered to this one.
#pragma once

#include <signal.h>

#include <thread>
#include <utility>

namespace curfew {

/// Throws std::system_error, with the signals as they were.
template <typename Work>
[[nodiscard]] std::thread quiet_thread(Work&& work) {
    struct Blocked {
        Blocked() {
            sigset_t all;
            sigfillset(&all);
            pthread_sigmask(SIG_SETMASK, &all, &before);
        }
        ~Blocked() { pthread_sigmask(SIG_SETMASK, &before, nullptr); }
        Blocked(const Blocked&) = delete;
        Blocked& operator=(const Blocked&) = delete;
        sigset_t before{};
    };
    const Blocked blocked;
    return std::thread(std::forward<Work>(work));
}

}  // namespace curfew
