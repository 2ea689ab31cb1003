// The screen of `curfew-monitor top`: looks at the group go in, lines of text with styles come out,
// and keys change what is shown. Pure: no terminal, no clock; one thread. What the processes say is
// hearsay: a field may be missing, a text may hold anything, and what would touch the terminal is
// replaced.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/words/vocabulary.h"
#include "monitor/table.h"

namespace curfew {

/// One look at the group: name and parsed stats of each process; null JSON for one that does not
/// answer any more.
struct Look {
    /// Broker first, then collector, then workers.
    std::vector<std::pair<std::string, nlohmann::json>> stats;
    /// docs/monitor.md, of the whole group; may be null.
    nlohmann::json dump;
};

/// What a key asks of the shell.
struct Wish {
    bool quit = false;
    std::optional<std::uint64_t> cancel;  ///< the task
};

class TopScreen {
public:
    TopScreen(bool utf8, Duration every);

    /// A look that came at `now`; `time` is what the clock on the wall says.
    void add(const Look& look, Instant now, std::string time);
    /// Whether a look is long in coming.
    void asking(bool is) { asking_ = is; }
    /// Says something in the last line, until the next key.
    void say(std::string_view what);
    [[nodiscard]] Wish press(Key key, char typed = 0);

    /// At most so many lines, none wider.
    [[nodiscard]] std::vector<Line> draw(int width, int height);
    /// One screen for a page or a pipe: as many lines as it takes, at most 24 rows of a table.
    [[nodiscard]] std::vector<Line> draw_once(int width);

    [[nodiscard]] bool broker_answers() const { return broker_answers_; }
    [[nodiscard]] bool paused() const { return paused_; }
    [[nodiscard]] Duration every() const { return every_; }

private:
    /// A worker seen, and what was last said of it; it stays when it is gone.
    struct Known {
        nlohmann::json row;   ///< the broker's
        nlohmann::json said;  ///< its own stats
        bool listed = false, answers = false;
        std::optional<Instant> gone_at;
    };
    struct Totals {
        Instant at;
        std::uint64_t incarnation = 0;
        std::array<double, 3> counts{};  ///< accepted, settled, started
    };
    struct Used {
        Instant at;
        std::uint64_t incarnation = 0;
        double cpu_s = 0;
        std::optional<double> share;  ///< of a core
    };

    // What is known.
    void take_broker(const Look& look);
    void take_rates();
    void take_cpu(const Look& look);
    void take_workers(const Look& look);
    void forget_workers();
    void fill_workers();
    void fill_attempts(const nlohmann::json& dump);
    [[nodiscard]] Table::Row row_of(const std::string& name, const Known& worker) const;
    [[nodiscard]] Table::Cell state_of(const Known& worker) const;
    [[nodiscard]] std::string word(const nlohmann::json& object, const char* key) const;
    [[nodiscard]] std::string cpu_of(const std::string& name) const;

    // What is drawn.
    [[nodiscard]] Line header(int width) const;
    void add_broker_words(Line& line) const;
    [[nodiscard]] std::vector<Line> figures(int width, bool more) const;
    [[nodiscard]] Line rates_line() const;
    [[nodiscard]] Line times_line() const;
    [[nodiscard]] Line more_line() const;
    [[nodiscard]] std::vector<Line> chart(int width, int height) const;
    [[nodiscard]] std::vector<Line> tables(int width, int workers, int attempts, bool live);
    [[nodiscard]] Line workers_title(bool live) const;
    [[nodiscard]] Line attempts_title(bool live) const;
    void add_order(Line& line, const Table& table, bool live) const;
    [[nodiscard]] Line footer() const;

    // Keys.
    [[nodiscard]] Wish answer(char typed);
    void type(Key key, char typed);
    void command(char typed);
    void ask_to_cancel();
    void step(int by);
    [[nodiscard]] Table& active() { return on_workers_ ? workers_ : attempts_; }

    bool utf8_;
    Duration every_;
    Instant now_;
    std::string time_;

    nlohmann::json broker_, collector_;  ///< the last that was said
    bool looked_ = false, broker_answers_ = false;
    std::string gone_since_;  ///< on the wall
    Instant gone_at_;
    std::optional<Totals> before_;
    std::array<std::optional<double>, 3> rates_;
    /// One a look, bounded; none: the broker did not answer.
    std::deque<std::optional<double>> in_flight_;
    std::map<std::string, Used> used_;
    std::map<std::pair<std::string, Session>, Known> known_;
    std::optional<double> dumped_;                 ///< attempts in flight when they were listed
    std::map<std::string, std::uint64_t> places_;  ///< of them, by state

    Table workers_, attempts_;
    bool on_workers_ = true, help_ = false, paused_ = false, asking_ = false, typing_ = false;
    std::optional<std::uint64_t> confirming_;  ///< the task that would be cancelled
    std::string note_;
};

}  // namespace curfew
