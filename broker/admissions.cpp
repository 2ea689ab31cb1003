#include "broker/admissions.h"

#include <algorithm>

#include "broker/hearsay.h"
#include "common/words/limits.h"

namespace curfew {

bool Admissions::admits(Instant now, std::string_view name) const {
    if (now < room_at_) return false;
    const auto newcomers = std::ranges::count_if(roster_.sessions(), [&](const auto& entry) {
        const WorkerSession& worker = *entry.second;
        const bool leaves = worker.state == SessionState::leaving && ledger_.session(worker.session)->last_number == 0;
        return worker.state < SessionState::ready || leaves;
    });
    if (static_cast<std::size_t>(newcomers) >= kMostNewcomers) return false;
    return std::ranges::none_of(refused_, [&](const Refusal& one) { return one.name == name && now < one.until; });
}

void Admissions::refuse(Instant now, const std::string& name) {
    const auto before = std::ranges::find(refused_, name, &Refusal::name);
    Duration pause = kFirstPause * heartbeat_;
    if (before != refused_.end()) {
        const bool again = now < before->until + kForgiven * before->pause;
        if (again) pause = std::min(2 * before->pause, kMostPause * heartbeat_);
        refused_.erase(before);
    }
    if (refused_.size() == kMostRefused) refused_.pop_front();
    refused_.push_back({name, now + pause, pause});
}

bool Admissions::is_well_formed(const wire::Hello& hello) {
    const std::string_view wrong = wrong_with(hello);
    if (wrong.empty()) return true;
    wrong_hello_ = {std::string(hello.name.substr(0, limits::kNameBytes)), wrong};
    return false;
}

}  // namespace curfew
