// The broker's sockets to its peers: one to the collector, and two to each worker, opened and
// closed as the dispatcher says. What a peer does not take waits here. One thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "broker/dispatcher.h"
#include "common/process/daemon.h"
#include "common/process/log.h"
#include "common/process/outbox.h"

namespace curfew {

class Links {
public:
    /// `collector`: its endpoint; empty: in the run directory. Throws Unusable where there are not
    /// enough descriptors for even one worker.
    Links(Daemon& daemon, Dispatcher& dispatcher, const std::string& collector);

    /// Hands over the frames, and leaves none.
    void send(Instant now, std::vector<Dispatcher::OutFrame>& frames);
    /// Opens and closes what the dispatcher has asked for.
    void change(Instant now);
    /// Tries again to send what waits.
    void flush();
    /// When to flush again.
    [[nodiscard]] Instant next_deadline(Instant now);
    /// Frames that wait, and how often a mark was reached.
    [[nodiscard]] JsonObject json() const;

private:
    struct WorkerLinks {
        Outbox tasks;
        Outbox control;
    };

    void send(Dispatcher::OutFrame& frame);
    void open(Instant now, const Dispatcher::LinkChange& change);

    Daemon& daemon_;
    Dispatcher& dispatcher_;
    Outbox collector_;
    std::map<Session, WorkerLinks> workers_;
    log::Seldom unreachable_log_;
};

}  // namespace curfew
