// What the broker's log says of its peers, each kind seldom: who is missing, who was refused, and
// who sends what is wrong. One thread.
#pragma once

#include <chrono>

#include "broker/dispatcher.h"
#include "common/process/log.h"
#include "common/words/vocabulary.h"

namespace curfew {

class Alarms {
public:
    /// In each turn.
    void say(Instant now, Dispatcher& dispatcher);

private:
    void say_who_is_refused(Instant now, Dispatcher& dispatcher);
    void say_what_is_missing(Instant now, const Dispatcher& dispatcher);

    Instant waiting_since_ = kNever;
    log::Seldom missing_log_;
    log::Seldom complaint_log_{std::chrono::seconds(1)};
    log::Growth malformed_log_, hello_log_, put_off_log_;
};

}  // namespace curfew
