#include "monitor/cpu_shares.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "monitor/fields.h"
#include "monitor/terminal_text.h"

namespace curfew {

void CpuShares::add(const Look& look, Instant now) {
    std::map<std::string, Used> used;
    for (const auto& [name, said] : look.stats) {
        const auto cpu = real(said, "cpu_s");
        if (!cpu) continue;
        Used next{now, count(said, "incarnation"), *cpu, std::nullopt};
        const auto old = used_.find(name);
        if (old != used_.end() && old->second.incarnation == next.incarnation && now > old->second.at)
            next.share = std::max(0.0, *cpu - old->second.cpu_s) / seconds(now - old->second.at);
        used[name] = next;
    }
    used_ = std::move(used);
}

std::optional<double> CpuShares::of(const std::string& name) const {
    const auto at = used_.find(name);
    return at == used_.end() ? std::nullopt : at->second.share;
}

std::string CpuShares::text_of(const std::string& name) const {
    const auto share = of(name);
    return share ? fmt::format("{:.0f}%", *share * 100) : "-";
}

}  // namespace curfew
