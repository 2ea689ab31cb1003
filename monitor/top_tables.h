// The two tables of the screen, workers and attempts, and which of them the keys go to. Pure.
#pragma once

#include <cstdint>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "common/words/vocabulary.h"
#include "monitor/cpu_shares.h"
#include "monitor/known_broker.h"
#include "monitor/known_workers.h"
#include "monitor/look.h"
#include "monitor/table.h"

namespace curfew {

class TopTables {
public:
    explicit TopTables(bool utf8);

    void add(const Look& look, const KnownBroker& broker, const CpuShares& cpu, Instant now);

    /// What was added last is what was.
    void make_old();
    /// Another group: its workers are others, whatever they are called.
    void begin() { known_ = {}; }

    [[nodiscard]] bool on_workers() const { return on_workers_; }
    void to_the_other() { on_workers_ = !on_workers_; }
    [[nodiscard]] Table& active() { return on_workers_ ? workers_ : attempts_; }
    [[nodiscard]] const Table& active() const { return on_workers_ ? workers_ : attempts_; }
    /// Null: there is none.
    [[nodiscard]] const Table::Row* selected_attempt() const { return attempts_.selected(); }

    /// For a screen: so many rows for both.
    [[nodiscard]] std::vector<Line> draw(int width, int rows);
    /// For a page: as many rows as it takes, and no more than so many of each.
    [[nodiscard]] std::vector<Line> draw_once(int width, int most);

private:
    [[nodiscard]] Table::Cell state_of(const KnownWorkers::Worker& worker, bool broker_answers) const;
    [[nodiscard]] Table::Row row_of(const KnownWorkers::Id& id, const KnownWorkers::Worker& worker,
                                    const KnownBroker& broker, const CpuShares& cpu, Instant now) const;
    void add_attempts(const nlohmann::json& dump);
    [[nodiscard]] Table::Row row_of(const nlohmann::json& attempt) const;

    [[nodiscard]] std::vector<Line> draw(int width, int workers, int attempts, bool live);
    [[nodiscard]] Line workers_title(bool live) const;
    [[nodiscard]] Line attempts_title(bool live) const;
    void add_order(Line& line, const Table& table, bool live) const;

    bool utf8_;
    bool on_workers_ = true;
    KnownWorkers known_;
    std::optional<double> dumped_;                 ///< attempts in flight when they were listed
    std::map<std::string, std::uint64_t> places_;  ///< of them, by state
    Table workers_, attempts_;
};

}  // namespace curfew
