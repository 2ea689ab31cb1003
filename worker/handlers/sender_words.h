// What a sender says of its message, for a program and for a service. Pure.
#pragma once

#include <string>
#include <vector>

#include "worker/handlers/handler.h"

namespace curfew {

/// Variables of an environment, each with a NUL behind it: CURFEW_MESSAGE_ID,
/// CURFEW_CORRELATION_ID, CURFEW_CONTENT_TYPE, and CURFEW_HEADER_NAME for each header, with its
/// name in capitals and what is no letter or digit as `_` (as CGI has them: no name that a sender
/// chooses is one that a program heeds). What holds a NUL is left out.
[[nodiscard]] std::string variables_of(const Work& work);
/// Lines of a request, without those that HTTP keeps to itself or that hold what no line can.
[[nodiscard]] std::vector<std::string> header_lines_of(const Work& work);

}  // namespace curfew
