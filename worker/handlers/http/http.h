// Work that a service does: a request for each attempt, all of them in the worker's own loop. One
// worker is one service (or backend, or replica); attempts of a task prefer different ones by their
// pools, and may go to the same. Nothing here blocks: names are looked up on threads of libcurl's,
// one lookup at a time.
#pragma once

#include <cstdint>
#include <list>
#include <memory>
#include <string>
#include <vector>

#include "worker/handlers/handler.h"
#include "worker/handlers/http/backend.h"
#include "worker/handlers/http/name_lookup.h"
#include "worker/handlers/http/plan.h"
#include "worker/handlers/http/request.h"
#include "worker/handlers/http/transfers.h"

namespace curfew {

/// Throws Unusable where this process may not have a connection for each slot.
void check_descriptors(Slot slots);

class HttpHandler final : public Handler {
public:
    /// `max_output`: bytes of an answer; a longer one has failed.
    HttpHandler(HttpPlan plan, Slot slots, std::size_t max_output);
    ~HttpHandler() override;

    void start(Instant now, Slot slot, const Work& work) override;
    void stop(Instant now, Slot slot) override;
    void turn(Instant now, std::vector<WorkEnd>& ends) override;
    void wait_for(Poller& poller) const override;
    Instant next_deadline() const override;
    Slot open_slots(Instant now) const override { return backend_.open_slots(now); }
    void add_stats(Instant now, JsonObject& stats) const override;
    bool can_kill() const override { return true; }

private:
    enum class State : std::uint8_t { free, waiting, under_way, stopping };
    struct Place {
        State state = State::free;
        std::unique_ptr<HttpRequest> request;     // made when it is needed first
        std::list<Slot>::iterator waits_at = {};  // of one that waits, in waiting_
    };

    void begin(Instant now, Slot slot);
    void end(Slot slot);
    void stop_some();
    void on_done(Slot slot, CURLcode code);
    void name_failed(const std::string& error);
    void begin_waiting(Instant now);

    const HttpPlan plan_;
    const std::size_t max_output_;
    const UserHeaders headers_;
    std::vector<Place> places_;
    Transfers transfers_;
    Backend backend_;
    std::vector<WorkEnd> ends_;
    Instant now_{};  // of the last call

    // A turn begins, and stops, no more than so many: the worker has to be heard meanwhile.
    static constexpr int kMostInATurn = 128;
    int begun_in_turn_ = 0;
    std::vector<Slot> to_stop_;
    NameLookup lookup_;
    std::list<Slot> waiting_;  // for the name, or for the next turn
    std::size_t under_way_ = 0;
};

}  // namespace curfew
