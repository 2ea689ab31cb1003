// The monitor socket (REP): questions come, replies go, and the work does not notice. While there
// is work, a five-hundredth of the time may go into answers, however many ask, and a millisecond of
// a turn; what is saved up is enough for some large dumps at once, and what was begun is finished,
// on credit. A process that is at rest may spend half of its time.
//
// When half of what was saved up is gone, there is a crowd: then one answer serves all who ask the
// same within a second. Peers take turns, so who asks once waits for one answer to each of the
// others. One thread.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "common/look/reply.h"
#include "common/process/clock.h"
#include "common/process/poller.h"
#include "common/process/socket.h"
#include "common/process/thread_time.h"
#include "common/words/vocabulary.h"

namespace curfew {

class Answers {
public:
    using Begin = std::function<std::unique_ptr<Reply>(std::string_view question)>;

    /// `clock`, and the processor time that this thread has `used`: others than the process's, for
    /// tests.
    explicit Answers(Socket socket, std::function<Instant()> clock = Clock::now,
                     std::function<Duration()> used = thread_time)
        : socket_(std::move(socket)), clock_(std::move(clock)), used_(std::move(used)) {}

    /// A turn begins. `begin` makes the reply to a question.
    void turn(Instant now, const Begin& begin);
    /// Adds what wakes it; `until`, if it wants a turn earlier.
    void wait_for(Poller& poller, Instant& until);
    /// The process was at rest, or not, since this was said last.
    void set_at_rest(bool at_rest) { share_ = at_rest ? kShareAtRest : kShare; }
    /// Processor time of this thread that went into answers, ever.
    [[nodiscard]] Duration spent() const { return spent_; }
    [[nodiscard]] const std::string& endpoint() const { return socket_.endpoint(); }

private:
    static constexpr int kShare = 500, kShareAtRest = 2;

    struct Said {
        std::string question;
        Frame answer;
        Instant at;
    };
    void answer_next(Instant until, const Begin& begin);
    void send(Frame text, bool serves_others);
    [[nodiscard]] const Said* said_before() const;
    [[nodiscard]] bool crowded() const;

    Socket socket_;
    std::function<Instant()> clock_;
    std::function<Duration()> used_;
    Instant now_{};         // this turn
    Duration allowance_{};  // processor time that may be spent now; below zero: that was too much
    Duration spent_{};
    int share_ = kShare;
    std::string question_;
    std::unique_ptr<Reply> reply_;  // to it, that is being made
    std::vector<Said> said_;        // to the crowd, lately
};

}  // namespace curfew
