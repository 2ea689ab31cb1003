// The part of the screen that says what racing gives: how long tasks take, what hedges gave, which
// pools win and why work fails, as it was in the last ten seconds. Pure.
#pragma once

#include <cstdint>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "common/words/vocabulary.h"
#include "monitor/lately.h"
#include "monitor/terminal_text.h"

namespace curfew {

class TopRacing {
public:
    explicit TopRacing(bool utf8) : utf8_(utf8) {}

    /// What the broker has said at `now`.
    void add(const nlohmann::json& broker, Instant now);

    /// Of tasks, hedges, attempts, as far as there is room.
    [[nodiscard]] static Line times(const nlohmann::json& broker, int width);
    /// Who wins, where there are several pools, and why work fails, where some did: so many rows of
    /// each at most. One beside the other, if it is to be.
    [[nodiscard]] std::vector<Line> draw(const nlohmann::json& broker, int width, int rows, bool beside) const;

private:
    using Counts = std::map<std::string, double>;
    struct Figures {
        std::uint64_t incarnation = 0;
        Counts won, failed;  ///< by pool; by reason, what is certain of it
    };

    [[nodiscard]] double grown(Counts Figures::*which, const std::string& name) const;
    [[nodiscard]] std::string per_s(double grown) const;
    [[nodiscard]] std::vector<double> shares(const std::vector<const nlohmann::json*>& pools) const;
    [[nodiscard]] std::string bar(double share, int width) const;
    [[nodiscard]] Line wins_line(const std::vector<const nlohmann::json*>& pools, const std::vector<double>& share,
                                 int width) const;
    [[nodiscard]] std::vector<Line> wins(const nlohmann::json& broker, int width, int rows) const;
    [[nodiscard]] Line failure_line(const nlohmann::json& failure, const std::string& rest, int width) const;
    [[nodiscard]] std::vector<Line> failures(const nlohmann::json& broker, int width, int rows) const;

    bool utf8_;
    Lately<Figures> lately_;
};

}  // namespace curfew
