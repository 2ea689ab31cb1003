// The group's state in Prometheus' text format, version 0.0.4. Pure. Every name: docs/monitor.md.
#pragma once

#include <string>
#include <vector>

#include "monitor/group.h"

namespace curfew {

[[nodiscard]] std::string metrics(const std::vector<Said>& stats);

}  // namespace curfew
