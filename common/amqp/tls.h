// TLS of a connection to a queue server: whom it trusts, as whom it shows itself.
#pragma once

#include <string>

#include "common/amqp/connection.h"

struct amqp_socket_t_;

namespace curfew::amqp {

/// Before the socket, one of amqp_ssl_socket_new(), is opened to `host`. Without a file it trusts
/// what OpenSSL and the system trust. The cutter holds the connection from its handshake on. Throws
/// Refused.
void prepare_tls(amqp_socket_t_* socket, const Access& access, const std::string& host, Cutter& cutter);

}  // namespace curfew::amqp
