// The screen of `curfew-monitor top`: looks at the group go in, lines of text with styles come out,
// and keys change what is shown. Pure: no terminal, no clock; one thread. What the processes say is
// hearsay: a field may be missing, a text may hold anything, and what would touch the terminal is
// replaced.
//
// It joins objects that keep what has to be known from one look to the next:
//
//     KnownBroker   what it has said, its rates, since when it is gone   monitor/known_broker.h
//     CpuShares     of all processes                                     monitor/cpu_shares.h
//     Chart         attempts in flight, tasks settled                    monitor/chart.h
//     TopRacing     latency, who wins, why work fails                    monitor/top_racing.h
//     TopTables     workers and attempts                                 monitor/top_tables.h
//     TopKeys       what the keys do                                     monitor/top_keys.h
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/words/vocabulary.h"
#include "monitor/chart.h"
#include "monitor/cpu_shares.h"
#include "monitor/known_broker.h"
#include "monitor/look.h"
#include "monitor/top_keys.h"
#include "monitor/top_racing.h"
#include "monitor/top_tables.h"

namespace curfew {

class TopScreen {
public:
    /// `group`: what the group is called; empty: it was not said.
    TopScreen(bool utf8, Duration every, std::string group = "")
        : utf8_(utf8),
          group_(std::move(group)),
          chart_(utf8),
          settled_(utf8),
          racing_(utf8),
          tables_(utf8),
          keys_(utf8, every) {}

    /// A look that came at `now`; `time` is what the clock on the wall says.
    void add(const Look& look, Instant now, std::string time);
    /// Whether a look is long in coming.
    void asking(bool is) { asking_ = is; }
    /// Says something in the last line, until the next key.
    void say(std::string_view what) { keys_.say(what); }
    [[nodiscard]] Wish press(Key key, char typed = 0) { return keys_.press(key, typed, tables_); }

    /// At most so many lines, none wider.
    [[nodiscard]] std::vector<Line> draw(int width, int height);
    /// One screen for a page or a pipe: as many lines as it takes, at most 24 rows of a table.
    [[nodiscard]] std::vector<Line> draw_once(int width);

    [[nodiscard]] bool broker_answers() const { return broker_.answers(); }
    [[nodiscard]] bool paused() const { return keys_.paused(); }
    [[nodiscard]] Duration every() const { return keys_.every(); }

private:
    void show_last_figures();
    void begin_again();
    [[nodiscard]] Line header(int width) const;
    void add_broker_words(Line& line) const;
    [[nodiscard]] std::vector<Line> charts(int width, int rows) const;
    [[nodiscard]] std::vector<Line> figures(int width, int height) const;
    [[nodiscard]] Line rates_line() const;
    [[nodiscard]] Line more_line() const;
    [[nodiscard]] Line queue_line(int width) const;
    [[nodiscard]] Line sink_line() const;

    /// The last look in which the broker answered.
    struct Whole {
        Look look;
        Instant at;
    };

    bool utf8_;
    std::string group_;
    bool asking_ = false;
    bool looked_ = false;
    Instant now_;           // of the last look
    std::string time_;      // of it, on the wall
    std::string ended_at_;  // on the wall: since then no process answers; empty: one does
    std::optional<Whole> whole_;
    KnownBroker broker_;
    nlohmann::json sink_;  // as the collector has it; null: it does not answer
    CpuShares cpu_;
    Chart chart_, settled_;
    TopRacing racing_;
    TopTables tables_;
    TopKeys keys_;
};

}  // namespace curfew
