#include "worker/handlers/http/flags.h"

namespace curfew {

void add_http_flags(Options& options, HttpFlags& flags) {
    options.some_text(
        "--url", flags.url,
        "http: where requests go; {} in its path or query is the message, percent-encoded. Without {} the "
        "message is the body");
    options.some_text("--method", flags.method, "http: GET where the URL has {}, else POST");
    options.list("--header", flags.headers, "http: 'NAME: VALUE', or @FILE with such lines (secrets); may be repeated");
    options.text("--ok-status", flags.ok_status, "http: statuses that mean a result: 2xx, 200-204,304");
    options.text("--reject-status", flags.reject_status,
                 "http: statuses that mean that no other attempt will do better");
    options.duration("--connect-timeout", flags.connect_timeout, Duration::zero(), std::chrono::hours(1),
                     "http: how long to wait for a connection; 0: as long as the deadline allows");
    options.some_text("--ca", flags.ca, "http: file with the certificates that are trusted");
    options.some_text("--cert", flags.cert, "http: file with the certificate to show");
    options.some_text("--key", flags.key, "http: file with its key");
    options.some_text("--unix-socket", flags.unix_socket,
                      "http: the socket to connect to, whatever host the URL names");
    options.flag("--http2", flags.http2,
                 "http: HTTP/2 where the service speaks it, over TLS: all requests share a connection");
    options.flag("--compressed", flags.compressed, "http: ask for a compressed answer; the result is what it contains");
    options.flag("--grpc-timeout", flags.grpc_timeout, "http: say the time left as grpc-timeout, too");
    options.flag("--pass-headers", flags.pass_headers,
                 "http: say what the sender of a message says of it: its headers, its content type");
    options.count("--max-redirects", flags.max_redirects, 0, 100, "http: how many redirects are followed");
    options.choice("--http-result", flags.result, {"body", "full"},
                   "http: the result is the body, or JSON with status, headers and body");
}

}  // namespace curfew
