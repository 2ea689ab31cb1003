// How a service has answered so far: the counts for the monitor, and whether it is to be asked now.
// Owned by HttpHandler.
#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "common/process/log.h"
#include "worker/handlers/breaker.h"
#include "worker/handlers/http/request.h"

namespace curfew {

class Backend {
public:
    /// `name`: host and port, or the socket. `slots`: requests under way, at most.
    Backend(std::string name, Slot slots) : name_(std::move(name)), slots_(slots) {}

    /// A request that began at `began` has come to its end.
    void ended(Instant now, Instant began, const HttpEnd& end);

    void begins() { breaker_.begins(); }
    /// Whatever its end; behind what was said of that.
    void ends(Instant began) { breaker_.ends(began); }
    [[nodiscard]] Slot open_slots(Instant now) const { return breaker_.open(now); }
    /// When open_slots() changes by itself.
    [[nodiscard]] Instant next_deadline(Instant now) const { return breaker_.next_deadline(now); }
    [[nodiscard]] const std::string& name() const { return name_; }
    void add_stats(Instant now, JsonObject& stats) const;

private:
    void say_held(Instant now);

    const std::string name_;
    const Slot slots_;
    Breaker breaker_;
    Slot not_taken_in_a_row_ = 0;
    std::string last_refusal_;
    std::array<std::uint64_t, 6> answers_{};  // by the first digit of their status; 0: none came
    std::uint64_t asked_to_wait_ = 0;
    log::Seldom held_log_;
};

}  // namespace curfew
