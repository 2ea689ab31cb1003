// Text as a JSON string, with its quotes. Bytes that are not UTF-8 become the replacement
// character: names come from peers and from command lines.
#pragma once

#include <string>

namespace curfew {

[[nodiscard]] std::string json_text(const std::string& value);

}  // namespace curfew
