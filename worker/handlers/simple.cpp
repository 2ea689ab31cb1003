#include "worker/handlers/simple.h"

#include "common/process/options.h"

namespace curfew {

std::optional<SleepShape> SleepShape::parse(std::string_view text) {
    SleepShape shape;
    if (text.starts_with("tail:")) {
        text.remove_prefix(5);
        const std::size_t first = text.find(':');
        const std::size_t second = first == std::string_view::npos ? first : text.find(':', first + 1);
        if (second == std::string_view::npos) return std::nullopt;
        const auto usual = parse_duration(text.substr(0, first));
        const auto tail = parse_duration(text.substr(first + 1, second - first - 1));
        const auto share = parse_share(text.substr(second + 1));
        if (!usual || !tail || !share || *share > 1) return std::nullopt;
        shape.usual_ = *usual;
        shape.tail_ = *tail;
        shape.tail_share_ = *share;
        return shape;
    }
    shape.exponential_ = text.starts_with("exp:");
    const auto usual = parse_duration(shape.exponential_ ? text.substr(4) : text);
    if (!usual) return std::nullopt;
    shape.usual_ = *usual;
    return shape;
}

Duration SleepShape::draw(std::mt19937_64& random) const {
    if (exponential_) {
        const double times = std::exponential_distribution<>(1.0)(random);
        return std::chrono::duration_cast<Duration>(std::chrono::duration<double>(usual_) * times);
    }
    return std::uniform_real_distribution<>(0, 1)(random) < tail_share_ ? tail_ : usual_;
}

void SleepHandler::start(Instant now, Slot slot, const Work&) {
    const Instant ends_at = now + shape_.draw(random_);
    sleeps_[slot] = ends_at;
    by_end_.emplace(ends_at, slot);
}

void SleepHandler::stop(Instant, Slot slot) {
    const auto sleep = sleeps_.find(slot);
    if (sleep == sleeps_.end()) return;
    const auto [first, last] = by_end_.equal_range(sleep->second);
    for (auto at = first; at != last; ++at) {
        if (at->second != slot) continue;
        by_end_.erase(at);
        break;
    }
    sleeps_.erase(sleep);
    WorkEnd& end = ends_.emplace_back();
    end.slot = slot;
    end.finish = Finish::stopped;
}

void SleepHandler::turn(Instant now, std::vector<WorkEnd>& ends) {
    for (WorkEnd& end : ends_) ends.push_back(std::move(end));
    ends_.clear();
    while (!by_end_.empty() && by_end_.begin()->first <= now) {
        const Slot slot = by_end_.begin()->second;
        by_end_.erase(by_end_.begin());
        WorkEnd& end = ends.emplace_back();
        end.slot = slot;
        end.echo = true;
        sleeps_.erase(slot);
    }
}

Instant SleepHandler::next_deadline() const {
    if (!ends_.empty()) return Instant::min();
    return by_end_.empty() ? kNever : by_end_.begin()->first;
}

}  // namespace curfew
