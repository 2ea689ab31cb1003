// The group's state in Prometheus' text format, version 0.0.4. Pure. Every name: docs/monitor.md.
#pragma once

#include <string>
#include <vector>

#include "monitor/group.h"

namespace curfew {

/// `group`: what it is called, a label of each series.
[[nodiscard]] std::string metrics(const std::vector<Said>& stats, const std::string& group);

}  // namespace curfew
