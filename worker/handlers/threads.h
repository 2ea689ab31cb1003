// Runs a C++ function on one thread for each slot. The loop's thread owns the handler; the threads
// get their work and hand back their ends under one mutex, and wake the loop by an eventfd. One
// thread more requests the stops, since that runs what the function has hung on its token, which
// may block; no mutex is held meanwhile. A thread that ignores its stop cannot be killed: the core
// puts its slot out of service, and at the end of the process it is left behind (detached), never
// waited for without a bound.
#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <stop_token>
#include <thread>
#include <vector>

#include "curfew/worker.h"
#include "worker/handlers/handler.h"

namespace curfew {

class ThreadHandler final : public Handler {
public:
    ThreadHandler(Slot slots, Function function);
    ~ThreadHandler() override;

    void start(Instant now, Slot slot, const Work& work) override;
    void stop(Instant now, Slot slot) override;
    void turn(Instant now, std::vector<WorkEnd>& ends) override;
    void wait_for(Poller& poller) const override;

private:
    /// Shared with the threads, so that it outlives a handler whose threads do not end.
    struct Shared;
    static void work(const std::shared_ptr<Shared>& shared, Slot slot);
    static void request_stops(const std::shared_ptr<Shared>& shared);

    std::shared_ptr<Shared> shared_;
};

}  // namespace curfew
