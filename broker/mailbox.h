// What is to be said to one session on the next flush. Only Mail hands it out, and only Mail
// empties it. Pure.
#pragma once

#include <cstdint>
#include <vector>

#include "common/tables/interval_set.h"
#include "common/wire/frame.h"
#include "common/wire/wire_writer.h"
#include "common/words/vocabulary.h"

namespace curfew {

class Mailbox {
public:
    void welcome() { welcome_due_ = true; }
    void ping() { ping_due_ = true; }
    void gone() { gone_due_ = true; }
    void token(std::uint64_t round) { tasks_.add(wire::Token{round}); }
    void cancel(AttemptNumber number, CancelReason reason) {
        (reason == CancelReason::decided    ? cancels_decided_
         : reason == CancelReason::deadline ? cancels_deadline_
                                            : cancels_lost_)
            .push_back(number);
    }
    /// Returns the round of recalls in which it will go.
    std::uint64_t recall(AttemptNumber number) {
        recalls_.push_back(number);
        return recall_round_ + 1;
    }
    void confirm(AttemptNumber number) { confirms_.insert(number); }
    void confirm(Interval numbers) { confirms_.insert(numbers); }
    /// False if it is asked for already.
    bool resend(AttemptNumber number) { return resends_.insert(number); }

private:
    friend class Mail;

    [[nodiscard]] bool has_cancels() const {
        return !cancels_decided_.empty() || !cancels_deadline_.empty() || !cancels_lost_.empty();
    }

    bool has_news_ = false;  // it stands in Mail's list
    wire::Writer tasks_;
    std::vector<Frame> task_frames_;  // full ones of this turn
    std::vector<AttemptNumber> cancels_decided_, cancels_deadline_, cancels_lost_;
    std::vector<AttemptNumber> recalls_;
    std::uint64_t recall_round_ = 0;  // the last one that was sent
    IntervalSet confirms_;
    bool confirms_wait_ = false;  // it stands in Mail's list of those
    IntervalSet resends_;
    bool welcome_due_ = false;
    bool ping_due_ = false;
    bool gone_due_ = false;
};

}  // namespace curfew
