#include "common/amqp/tls.h"

#include <amqp.h>
#include <amqp_ssl_socket.h>
#include <fmt/format.h>
#include <openssl/ssl.h>

namespace curfew::amqp {
namespace {

/// The socket is the library's, and while it is opened nobody else has its number. To be cut it is
/// held from here on.
void hold_from_the_handshake_on(const SSL* ssl, int where, int) {
    if ((where & SSL_CB_HANDSHAKE_START) == 0) return;
    auto* cutter = static_cast<Cutter*>(SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl)));
    (void)cutter->hold(SSL_get_fd(ssl));
}

}  // namespace

void prepare_tls(amqp_socket_t_* socket, const Access& access, const std::string& host, Cutter& cutter) {
    auto* context = static_cast<SSL_CTX*>(amqp_ssl_socket_get_context(socket));
    if (access.ca.empty()) {
        SSL_CTX_set_default_verify_paths(context);
    } else if (amqp_ssl_socket_set_cacert(socket, access.ca.c_str()) != AMQP_STATUS_OK) {
        throw Refused(0, fmt::format("'{}' has no certificates that can be read", access.ca));
    }
    if (!access.certificate.empty() &&
        amqp_ssl_socket_set_key(socket, access.certificate.c_str(), access.key.c_str()) != AMQP_STATUS_OK)
        throw Refused(0, fmt::format("'{}' and '{}' are no certificate with its key", access.certificate, access.key));
    amqp_ssl_socket_set_verify_peer(socket, 1);
    // By OpenSSL: the library knows no certificate that names an address
    amqp_ssl_socket_set_verify_hostname(socket, 0);
    X509_VERIFY_PARAM* wanted = SSL_CTX_get0_param(context);
    if (X509_VERIFY_PARAM_set1_ip_asc(wanted, host.c_str()) != 1) X509_VERIFY_PARAM_set1_host(wanted, host.c_str(), 0);
    amqp_ssl_socket_set_ssl_versions(socket, AMQP_TLSv1_2, AMQP_TLSvLATEST);
    SSL_CTX_set_app_data(context, &cutter);
    SSL_CTX_set_info_callback(context, hold_from_the_handshake_on);
}

}  // namespace curfew::amqp
