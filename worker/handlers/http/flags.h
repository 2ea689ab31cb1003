// What is said of http on the command line.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "common/process/options.h"
#include "common/words/vocabulary.h"

namespace curfew {

struct HttpFlags {
    std::string url;
    std::string method;                ///< empty: see HttpPlan
    std::vector<std::string> headers;  ///< `K: V`, or `@FILE` with such lines
    std::string ok_status = "2xx";
    std::string reject_status;
    Duration connect_timeout{};  ///< 0: the deadline alone
    std::string ca, cert, key;   ///< files
    std::string unix_socket;     ///< in place of the URL's host and port
    bool http2 = false;
    bool compressed = false;
    bool grpc_timeout = false;
    bool pass_headers = false;
    std::uint64_t max_redirects = 0;
    std::string result = "body";
};

void add_http_flags(Options& options, HttpFlags& flags);

}  // namespace curfew
