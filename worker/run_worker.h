// A worker process, around a function of the program's or one of the handlers that it brings.
#pragma once

#include <span>

#include "curfew/worker.h"
#include "worker/handlers/table.h"

namespace curfew {

/// The whole process; returns its exit code. `function`: null where --handler chooses from `kinds`.
int run_worker_process(int argc, char** argv, Function function, std::span<const HandlerKind> kinds);

}  // namespace curfew
