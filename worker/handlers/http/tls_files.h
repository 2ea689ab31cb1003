// Whether libcurl can use the files of --ca, --cert and --key: asked before the start, since a
// request would say it much later, and without the name of the flag.
#pragma once

#include <curl/curl.h>

#include <optional>
#include <string>

#include "worker/handlers/http/flags.h"

namespace curfew {

/// What is wrong with them, with the flag and the file; nothing where all is well, or none is said.
[[nodiscard]] std::optional<std::string> wrong_with_tls_files(const HttpFlags& flags);
/// Tells a handle of them.
void set_tls_files(CURL* easy, const HttpFlags& flags);

}  // namespace curfew
