// What a process says to one question of the monitor. A long one is made in pieces, a turn of the
// loop between two of them, so that looking never holds up the work. One thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <utility>

#include "common/look/json_object.h"
#include "common/wire/frame.h"
#include "common/words/vocabulary.h"

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
    using Now = std::function<Instant()>;
    /// Goes on with it until about that instant of the clock. True: it is whole.
    virtual bool go_on(Instant until, const Now& now) = 0;
    /// In a crowd, whoever asks the same a little later may get it too.
    [[nodiscard]] virtual bool serves_others() const { return true; }
    /// A JSON object; once it is whole.
    [[nodiscard]] Frame take() { return std::move(text_); }

protected:
    void say(std::string_view text) { text_.write(text.data(), text.size()); }
    /// So many bytes will follow, by and large: then they are not moved on the way.
    void expect(std::size_t bytes) { text_.reserve(text_.size() + bytes); }

private:
    Frame text_;
};

/// One that is there at once.
class ShortReply : public Reply {
public:
    explicit ShortReply(const JsonObject& all, bool serves_others = true) : serves_others_(serves_others) {
        say(all.text());
    }
    bool go_on(Instant, const Now&) override { return true; }
    bool serves_others() const override { return serves_others_; }

private:
    bool serves_others_;
};

/// One that first looks at everything and then writes it down, each in small steps. It begins with
/// the members that it is given.
class LongReply : public Reply {
public:
    explicit LongReply(const JsonObject& first) {
        say("{");
        say(first.members());
        say(",");
    }
    bool go_on(Instant until, const Now& now) final {
        do {
            if (!looked_) {
                looked_ = !look();
                if (looked_) begin();
            } else if (!write()) {
                end();
                say("}");
                return true;
            }
        } while (now() < until);
        return false;
    }

protected:
    /// A step of some microseconds. False: that was all.
    virtual bool look() = 0;
    virtual bool write() = 0;
    /// What stands before and behind that which is written in steps.
    virtual void begin() = 0;
    virtual void end() = 0;

private:
    bool looked_ = false;
};

}  // namespace curfew
