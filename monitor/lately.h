// Looks at figures that only grow, of the last seconds and one before these: how much they have
// grown lately. Pure. Memory: a look for each of ten seconds, or of what there is between them.
#pragma once

#include <deque>
#include <utility>

namespace curfew {

template <typename Figures>
class Lately {
public:
    static constexpr double kWindow = 10;  ///< seconds

    /// `time` in seconds, later than the one before.
    void add(Figures figures, double time) {
        looks_.push_back({std::move(figures), time});
        while (looks_.size() > 2 && looks_[1].time <= time - kWindow) looks_.pop_front();
    }
    /// Anew.
    void begin() { looks_.clear(); }

    [[nodiscard]] bool empty() const { return looks_.empty(); }
    /// Whether there are two looks, so that there is something to say.
    [[nodiscard]] bool known() const { return looks_.size() >= 2; }
    [[nodiscard]] const Figures& then() const { return looks_.front().figures; }
    [[nodiscard]] const Figures& now() const { return looks_.back().figures; }
    /// From the one to the other.
    [[nodiscard]] double seconds() const { return looks_.back().time - looks_.front().time; }

private:
    struct Look {
        Figures figures;
        double time;
    };
    std::deque<Look> looks_;
};

}  // namespace curfew
