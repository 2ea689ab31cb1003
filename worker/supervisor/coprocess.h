// A supervisor of a program that stays: it starts it, hands it one message after the other, and
// takes an answer to each. The Carrier of a Loop (loop.h); to the worker it is as any supervisor
// (supervisor.h).
//
// A message has its end when it is answered; or, where its program has to be stopped, has ended or
// has broken the framing, when no process of the program is left. Then the program is started anew:
// at once where it had answered something, else after a growing pause.
//
//     down --start--> idle --a message--> asked --an answer--> idle
//      ^               |                    |
//      |  it says something unasked, ends   |  it ends, breaks the framing, says too much; stop; deadline
//      |               v                    v
//      +--no child is left-- its Child is stopped or killed
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "common/words/vocabulary.h"
#include "worker/supervisor/command.h"
#include "worker/supervisor/link.h"
#include "worker/supervisor/loop.h"
#include "worker/supervisor/talk.h"

namespace curfew {

class Coprocess final : private Carrier {
public:
    Coprocess(OwnedDescriptor link, OwnedDescriptor child_signals, SupervisorOptions options);

    /// Serves until the link closes and nothing is left.
    void run() { loop_.run(); }

private:
    /// A message that has no end yet.
    struct Question {
        std::string message;
        bool asked = false;  ///< the program has it
        /// Whether it has begun to read, of the first message of a program.
        Instant look_at = kNever;
        Duration pause = std::chrono::milliseconds(1);
    };

    void begin(const Start& start, Instant now) override;
    void stop(Instant now) override;
    [[nodiscard]] bool restart(Instant now) override;
    [[nodiscard]] PipeEnds waits_for() const override;
    void feed() override { talk_.feed(); }
    void listen(Instant now) override;
    void take_errors() override { (void)talk_.take_errors(loop_.emit()); }
    void finish(Instant now) override;
    [[nodiscard]] Instant next_deadline() const override;
    void fire_timers(Instant now) override;

    void start_program(Instant now);
    void ask(Instant now);
    void look(Instant now);
    void on_answer(Instant now);
    void end_program(Instant now, Cause cause);
    void say_done(const DoneBody& done, std::string_view note, std::string_view result);
    [[nodiscard]] std::string note() const;

    Command command_;
    const std::size_t max_answer_;
    Loop loop_;
    Talk talk_;
    std::optional<Question> question_;
    Cause cause_ = Cause::finished;  // why the program that there is is to end
    std::string unasked_;            // the beginning of what it said wrongly
    Instant start_at_{};             // in `down`: when to start it
    std::uint64_t answers_ = 0;      // of the program that there is
    unsigned fruitless_ = 0;         // programs in a row that have answered nothing
};

}  // namespace curfew
