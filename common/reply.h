// What a process says to one question of the monitor. A long answer is made in pieces, a turn of the loop between two
// of them, so that looking never holds up the work. One thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "common/vocabulary.h"

namespace curfew {

/// What of the live attempts is asked for.
struct DumpQuery {
    std::size_t limit = 0;      ///< most attempts to list, oldest first
    Duration older_than{};      ///< only those at least as old
    std::string worker, state;  ///< only those; empty: all
    [[nodiscard]] bool asks_for(std::string_view of_worker, std::string_view in_state, Duration age) const {
        return age >= older_than && (worker.empty() || of_worker == worker) && (state.empty() || in_state == state);
    }
};

class Reply {
public:
    Reply() = default;
    Reply(const Reply&) = delete;
    Reply& operator=(const Reply&) = delete;
    virtual ~Reply() = default;
    /// Goes on with it until about that instant. True: it is whole.
    virtual bool go_on(Instant until) = 0;
    /// Members of a JSON object, without the braces; once it is whole.
    [[nodiscard]] virtual std::string take() = 0;
};

/// One that is there at once.
class ShortReply : public Reply {
public:
    explicit ShortReply(std::string text) : text_(std::move(text)) {}
    bool go_on(Instant) override { return true; }
    std::string take() override { return std::move(text_); }

private:
    std::string text_;
};

/// One that first looks at everything and then writes it down, each in small steps.
class LongReply : public Reply {
public:
    bool go_on(Instant until) final {
        do {
            if (looked_ && !write()) return true;
            if (!looked_ && !look()) looked_ = true;
        } while (Clock::now() < until);
        return false;
    }

protected:
    /// A step of some microseconds. False: that was all.
    virtual bool look() = 0;
    virtual bool write() = 0;

private:
    bool looked_ = false;
};

}  // namespace curfew
