// A handler around another: a result in which --accept finds no match is a failure. It counts for
// --attempts, and cannot win: a solver that says `unknown` at once must not win a portfolio.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "worker/handlers/handler.h"

namespace re2 {
class RE2;
}

namespace curfew {

class AcceptHandler final : public Handler {
public:
    /// `pattern`: of RE2, searched in the result. Throws std::invalid_argument for one that is
    /// none.
    AcceptHandler(const std::string& pattern, std::unique_ptr<Handler> inner);
    ~AcceptHandler() override;
    /// The same, without anything to run.
    static void check(const std::string& pattern);

    void start(Instant now, Slot slot, const Work& work) override { inner_->start(now, slot, work); }
    void stop(Instant now, Slot slot) override { inner_->stop(now, slot); }
    void turn(Instant now, std::vector<WorkEnd>& ends) override;
    void wait_for(Poller& poller) const override { inner_->wait_for(poller); }
    Instant next_deadline() const override { return inner_->next_deadline(); }
    pid_t pid(Slot slot) const override { return inner_->pid(slot); }
    Slot open_slots(Instant now) const override { return inner_->open_slots(now); }
    void add_stats(Instant now, JsonObject& stats) const override { inner_->add_stats(now, stats); }
    bool can_kill() const override { return inner_->can_kill(); }

private:
    const std::unique_ptr<re2::RE2> pattern_;
    const std::unique_ptr<Handler> inner_;
};

}  // namespace curfew
