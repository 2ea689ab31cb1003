// A thread beside the loop. Signals are the loop's: none is delivered to this one.
#pragma once

#include <signal.h>

#include <thread>
#include <utility>

namespace curfew {

/// A thread that is begun meanwhile is delivered none.
class QuietSignals {
public:
    QuietSignals() {
        sigset_t all;
        sigfillset(&all);
        pthread_sigmask(SIG_SETMASK, &all, &before_);
    }
    ~QuietSignals() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
    QuietSignals(const QuietSignals&) = delete;
    QuietSignals& operator=(const QuietSignals&) = delete;

private:
    sigset_t before_{};
};

/// Throws std::system_error, with the signals as they were.
template <typename Work>
[[nodiscard]] std::thread quiet_thread(Work&& work) {
    const QuietSignals quiet;
    return std::thread(std::forward<Work>(work));
}

}  // namespace curfew
