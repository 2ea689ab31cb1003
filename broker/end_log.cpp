#include "broker/end_log.h"

#include <algorithm>
#include <utility>

namespace curfew {

EndLog::Part EndLog::follow(Instant now, std::optional<std::uint64_t> after) {
    if (!followed()) {
        kinds_ = {};
        now_ = now;
    }
    asked_at_ = now;
    Part part;
    part.last = noted_;
    if (!after || *after >= noted_) return part;
    const std::uint64_t gone = noted_ - entries_.size();
    part.missed = gone > *after ? gone - *after : 0;
    const auto from = static_cast<std::ptrdiff_t>(std::max(*after, gone) - gone);
    part.entries.assign(entries_.begin() + from, entries_.end());
    return part;
}

void EndLog::note(AttemptId id, const Attempt& attempt, End end, std::string_view worker, std::string_view error,
                  std::string_view task_id) {
    constexpr std::size_t kMostError = 200;
    Kind& kind = kinds_[static_cast<std::size_t>(end)];
    if (kind.allowance < 1) {
        ++kind.left_out;
        return;
    }
    kind.allowance -= 1;
    entries_.push_back({id, attempt, end, now_, std::string(worker), std::string(error.substr(0, kMostError)),
                        std::string(task_id), std::exchange(kind.left_out, 0)});
    ++noted_;
    if (entries_.size() > kMost) entries_.pop_front();
}

std::string EndLog::pool_of(Session session) const {
    const auto at = pools_.find(session);
    return at == pools_.end() ? std::string() : at->second;
}

void EndLog::go_on(Instant now) {
    if (now - *asked_at_ > kPatience) {
        asked_at_.reset();
        entries_ = {};
        pools_ = {};
        ++noted_;  // what follows is not noted: to who comes back, one that has gone
        return;
    }
    const double more = kASecond * std::chrono::duration<double>(now - std::exchange(now_, now)).count();
    for (Kind& kind : kinds_) kind.allowance = std::min(kind.allowance + more, kASecond);
}

}  // namespace curfew
