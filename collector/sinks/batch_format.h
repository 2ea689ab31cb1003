// Outcomes as people keep them of a batch: a line of a job log, results with the message before
// each of their lines. What stands in a line is escaped, so that it stays one. Pure.
#pragma once

#include <string>
#include <string_view>

#include "collector/outcome_record.h"

namespace curfew {

/// What a job log begins with.
inline constexpr std::string_view kJoblogHeader = "Seq\tStart\tSeconds\tWorker\tAttempts\tEnd\tExit\tMessage\n";

/// A line of a job log: tab-separated; `-` stands for what is not known. Start is in seconds since
/// 1970, Exit is the exit code, or less than 0: the signal.
void append_joblog(std::string& out, const OutcomeRecord& outcome);

/// The result, each of its lines behind the message and a tab; nothing for what did not complete.
void append_tagged(std::string& out, const OutcomeRecord& outcome);

/// Without control characters, and UTF-8: `\t`, `\n`, `\r` and `\\` for those, and `\xNN` for each
/// other byte that is a control character or no UTF-8. So it can be read back.
void append_escaped(std::string& out, std::string_view bytes);

}  // namespace curfew
