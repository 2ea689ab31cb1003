// A quiet thread whose stack is as large as its work needs. That of another follows `ulimit -s`: 8
// MiB on most machines, 2 where it is unlimited. Memory: of the stack what was ever used.
#pragma once

#include <pthread.h>

#include <cstddef>
#include <functional>

namespace curfew {

class DeepThread {
public:
    DeepThread() = default;
    ~DeepThread() { join(); }
    DeepThread(const DeepThread&) = delete;
    DeepThread& operator=(const DeepThread&) = delete;

    /// Once. `stack`: bytes. Throws std::system_error, with the signals as they were.
    void begin(std::size_t stack, std::function<void()> work);
    [[nodiscard]] bool joinable() const { return runs_; }
    /// Waits for its end, if it was begun and not waited for.
    void join();

private:
    std::function<void()> work_;
    pthread_t thread_{};
    bool runs_ = false;
};

}  // namespace curfew
