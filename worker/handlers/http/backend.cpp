#include "worker/handlers/http/backend.h"

#include <algorithm>

#include "common/look/json_object.h"

namespace curfew {

void Backend::ended(Instant now, Instant began, const HttpEnd& end) {
    ++answers_[static_cast<std::size_t>(std::clamp(end.status / 100, 0L, 5L))];
    switch (end.service) {
        case HttpEnd::Service::answered:
            not_taken_in_a_row_ = 0;
            breaker_.answered(began);
            break;
        case HttpEnd::Service::not_taken:
            // All that shared its connections may have met with it together; more is a refusal
            if (++not_taken_in_a_row_ <= slots_) break;
            [[fallthrough]];
        case HttpEnd::Service::refused:
            last_refusal_ = end.work.error;
            if (breaker_.refused(now, began)) say_held(now);
            break;
        case HttpEnd::Service::wait:
            ++asked_to_wait_;
            breaker_.asked_to_wait(now, end.wait_for);
            last_refusal_ = end.work.error + " (it asks to come later: Retry-After)";
            say_held(now);
            break;
    }
}

void Backend::say_held(Instant now) {
    if (!held_log_.now(now)) return;
    log::warn("backend_held backend={} for_s={:.1f} reason={}", log::quoted(name_),
              std::chrono::duration<double>(breaker_.held_until() - now).count(), log::quoted(last_refusal_));
}

void Backend::add_stats(Instant now, JsonObject& stats) const {
    const bool held = breaker_.is_held(now);
    stats
        .add("answers", JsonObject()
                            .add("1xx", answers_[1])
                            .add("2xx", answers_[2])
                            .add("3xx", answers_[3])
                            .add("4xx", answers_[4])
                            .add("5xx", answers_[5])
                            .add("none", answers_[0]))
        .add("refusals_in_a_row", breaker_.refusals_in_a_row())
        .add("asked_to_wait", asked_to_wait_)
        .add("times_held", breaker_.times_held())
        .add("held_for_s", held ? std::optional(breaker_.held_until() - now) : std::nullopt)
        .add("last_refusal", if_any(last_refusal_))
        .add("probing", breaker_.is_probing(now));
}

}  // namespace curfew
