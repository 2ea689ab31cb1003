#include "worker/handlers/http/tls_files.h"

#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <memory>

namespace curfew {
namespace {

/// A service that hears and says nothing, under a name that the kernel chooses, without a file.
class SilentService {
public:
    SilentService() {
        sockaddr_un address{.sun_family = AF_UNIX, .sun_path = {}};
        auto* as_any = reinterpret_cast<sockaddr*>(&address);
        socklen_t size = sizeof address.sun_family;  // no name: it is to be chosen
        if (bind(socket_, as_any, size) != 0 || listen(socket_, 1) != 0) return;
        size = sizeof address;
        if (getsockname(socket_, as_any, &size) != 0 || size <= offsetof(sockaddr_un, sun_path) + 1) return;
        name_.assign(address.sun_path + 1, size - offsetof(sockaddr_un, sun_path) - 1);
    }
    ~SilentService() {
        if (connection_ >= 0) close(connection_);
        close(socket_);
    }
    SilentService(const SilentService&) = delete;
    SilentService& operator=(const SilentService&) = delete;

    [[nodiscard]] const std::string& name() const { return name_; }
    /// Takes the connection, and says that this was all.
    void take() {
        connection_ = accept4(socket_, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (connection_ >= 0) shutdown(connection_, SHUT_WR);
    }

private:
    const int socket_ = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    int connection_ = -1;
    std::string name_;
};

/// libcurl is connected, and about to say hello and to read the files.
CURLcode on_connected(CURL*, void*, void* service) {
    static_cast<SilentService*>(service)->take();
    return CURLE_OK;
}

}  // namespace

std::optional<std::string> wrong_with_tls_files(const HttpFlags& flags) {
    if (flags.ca.empty() && flags.cert.empty()) return std::nullopt;
    SilentService service;
    const std::unique_ptr<CURL, void (*)(CURL*)> easy(curl_easy_init(), curl_easy_cleanup);
    std::array<char, CURL_ERROR_SIZE> words{};
    curl_easy_setopt(easy.get(), CURLOPT_URL, "https://localhost/");
    curl_easy_setopt(easy.get(), CURLOPT_ABSTRACT_UNIX_SOCKET, service.name().c_str());
    curl_easy_setopt(easy.get(), CURLOPT_SSL_CTX_FUNCTION, &on_connected);
    curl_easy_setopt(easy.get(), CURLOPT_SSL_CTX_DATA, &service);
    curl_easy_setopt(easy.get(), CURLOPT_ERRORBUFFER, words.data());
    set_tls_files(easy.get(), flags);
    switch (curl_easy_perform(easy.get())) {
        case CURLE_SSL_CACERT_BADFILE: return fmt::format("--ca: '{}' has no certificates: {}", flags.ca, words.data());
        case CURLE_SSL_CERTPROBLEM:
            return fmt::format("--cert: '{}'{} cannot be used: {}", flags.cert,
                               flags.key.empty() ? "" : fmt::format(" with --key '{}'", flags.key), words.data());
        default: return std::nullopt;
    }
}

void set_tls_files(CURL* easy, const HttpFlags& flags) {
    const auto set = [&](CURLoption option, const std::string& path) {
        if (!path.empty()) curl_easy_setopt(easy, option, path.c_str());
    };
    set(CURLOPT_CAINFO, flags.ca);
    set(CURLOPT_SSLCERT, flags.cert);
    set(CURLOPT_SSLKEY, flags.key);
    // Else OpenSSL would ask a terminal for it, and wait
    curl_easy_setopt(easy, CURLOPT_KEYPASSWD, "");
}

}  // namespace curfew
