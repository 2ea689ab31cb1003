// A stop that comes while a process is set up, when there is no loop yet to hear it: a queue server
// may not answer, nor a name server, nor a disk. The set-up has --grace to come to its end, so that
// the loop stops as it always does; else the process ends as it is, which harms no more than its
// death would.
#pragma once

#include <functional>
#include <thread>

#include "common/process/orders.h"
#include "common/words/vocabulary.h"

namespace curfew {

class EarlyStop {
public:
    /// `end` is called on a thread of its own, and does not return. Until this is destroyed nobody
    /// reads `orders`. Throws std::system_error.
    EarlyStop(const Orders& orders, Duration grace, std::function<void()> end);
    ~EarlyStop();
    EarlyStop(const EarlyStop&) = delete;
    EarlyStop& operator=(const EarlyStop&) = delete;

private:
    void watch() const;

    const Orders& orders_;
    const Duration grace_;
    const std::function<void()> end_;
    int set_up_ = -1;  // an event
    std::thread thread_;
};

}  // namespace curfew
