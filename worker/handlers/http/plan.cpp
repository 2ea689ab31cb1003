#include "worker/handlers/http/plan.h"

#include <curl/curl.h>
#include <fmt/format.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <memory>
#include <span>
#include <stdexcept>

#include "common/words/exit_code.h"

namespace curfew {
namespace {

constexpr std::string_view kPlace = "{}";

[[noreturn]] void wrong(const std::string& text) {
    throw std::invalid_argument(text);
}

bool is_token(std::string_view text) {
    return !text.empty() && std::ranges::all_of(text, [](unsigned char c) {
        return std::isalnum(c) != 0 || std::strchr("!#$%&'*+-.^_`|~", c) != nullptr;
    });
}

void check_file(std::string_view flag, const std::string& path) {
    if (!path.empty() && access(path.c_str(), R_OK) != 0)
        throw Unusable(kExitUsage, fmt::format("{}: cannot read '{}': {}", flag, path, std::strerror(errno)));
}

/// One of the parts of a URL, as libcurl reads it.
std::string part_of(CURLU* url, CURLUPart part, unsigned how = 0) {
    char* text = nullptr;
    if (curl_url_get(url, part, &text, how) != CURLUE_OK) return {};
    std::string copy = text;
    curl_free(text);
    return copy;
}

long status_of(std::string_view flag, std::string_view text) {
    const auto number = parse_count(text);
    if (!number || *number < 100 || *number > 599)
        wrong(fmt::format("{}: '{}' is not a list of statuses like 2xx,304 or 400-404", flag, text));
    return static_cast<long>(*number);
}

std::string_view name_in(std::string_view header) {
    return header.substr(0, header.find(':'));
}

/// What libcurl says of each request by itself. A second word on it would be a lie, and the service
/// would wait for a body that does not come.
struct Reserved {
    std::string_view name, why;
};
constexpr std::array<Reserved, 5> kReserved{{
    {"Content-Length", "each request says the length of its message"},
    {"Transfer-Encoding", "a message is sent in one piece, with its length"},
    {"Connection", "the worker keeps connections, and closes those of losers"},
    {"Keep-Alive", "the worker keeps connections, and closes those of losers"},
    {"Upgrade", "no other protocol is spoken; for HTTP/2 say --http2"},
}};
/// What proves who asks, or names the host: not for another one.
constexpr std::array<std::string_view, 3> kForHomeAlone{"Authorization", "Cookie", "Host"};

bool is_in(std::span<const std::string_view> names, std::string_view name) {
    return std::ranges::any_of(names, [&](std::string_view one) { return same_name(one, name); });
}

using Url = std::unique_ptr<CURLU, void (*)(CURLU*)>;

std::string origin_of(CURLU* url) {
    std::string origin = part_of(url, CURLUPART_SCHEME) + "://" + part_of(url, CURLUPART_HOST) + ":" +
                         part_of(url, CURLUPART_PORT, CURLU_DEFAULT_PORT);
    std::ranges::transform(origin, origin.begin(), [](unsigned char c) { return std::tolower(c); });
    return origin;
}

}  // namespace

bool same_name(std::string_view a, std::string_view b) {
    return std::ranges::equal(a, b,
                              [](unsigned char x, unsigned char y) { return std::tolower(x) == std::tolower(y); });
}

// ---- statuses ----------------------------------------------------------------------------------

Statuses::Statuses(std::string_view flag, std::string_view text) {
    while (!text.empty()) {
        const std::string_view word = text.substr(0, text.find(','));
        text = word.size() == text.size() ? std::string_view() : text.substr(word.size() + 1);
        const std::size_t dash = word.find('-');
        long first = 0, last = 0;
        if (word.size() == 3 && word.substr(1) == "xx" && word[0] >= '1' && word[0] <= '5') {
            first = (word[0] - '0') * 100L;
            last = first + 99;
        } else {
            first = status_of(flag, word.substr(0, dash));
            last = dash == std::string_view::npos ? first : status_of(flag, word.substr(dash + 1));
        }
        for (long status = first; status <= last; ++status) set_.set(static_cast<std::size_t>(status));
    }
}

// ---- the plan ----------------------------------------------------------------------------------

HttpPlan::HttpPlan(const HttpFlags& flags)
    : flags_(flags), ok_("--ok-status", flags.ok_status), rejected_("--reject-status", flags.reject_status) {
    split_url();
    method_ = !flags.method.empty() ? flags.method : message_in_url() ? "GET" : "POST";
    if (!is_token(method_)) wrong(fmt::format("--method: '{}' is no method", method_));
    if (!message_in_url() && (method_ == "GET" || method_ == "HEAD"))
        wrong(fmt::format("--url: '{}' has no {{}}, and a {} has no body: the message would go nowhere", flags.url,
                          method_));
    if (flags.ok_status.empty()) wrong("--ok-status: no status would be a result");
    if (ok_.overlaps(rejected_)) wrong("--reject-status: has statuses that --ok-status has, too");
    for (const std::string& header : flags.headers) {
        header.starts_with('@') ? add_headers_of(header.substr(1)) : add_header(header, "--header", false);
    }
    constexpr std::size_t kMostSocketPath = sizeof(sockaddr_un::sun_path) - 1;
    if (flags.unix_socket.size() > kMostSocketPath)
        wrong(fmt::format("--unix-socket: '{}' has {} bytes, and the path of a socket has at most {}",
                          flags.unix_socket, flags.unix_socket.size(), kMostSocketPath));
    check_file("--ca", flags.ca);
    check_file("--cert", flags.cert);
    check_file("--key", flags.key);
    if (!flags.key.empty() && flags.cert.empty()) wrong("--key: needs the --cert that it belongs to");
}

void HttpPlan::split_url() {
    const std::string& url = flags_.url;
    if (url.empty()) wrong("--handler http needs --url");
    std::size_t begin = 0;
    for (std::size_t at = 0; (at = url.find(kPlace, begin)) != std::string::npos; begin = at + kPlace.size())
        parts_.push_back(url.substr(begin, at - begin));
    parts_.push_back(url.substr(begin));

    const Url parsed(curl_url(), curl_url_cleanup);
    std::string sample = parts_.front();
    for (std::size_t part = 1; part < parts_.size(); ++part) sample += "x" + parts_[part];
    if (sample.find("://") == std::string::npos ||
        curl_url_set(parsed.get(), CURLUPART_URL, sample.c_str(), CURLU_NON_SUPPORT_SCHEME) != CURLUE_OK)
        wrong(fmt::format("--url: '{}' is no URL like http://HOST:PORT/PATH", url));
    const std::string scheme = part_of(parsed.get(), CURLUPART_SCHEME);
    if (scheme != "http" && scheme != "https") wrong(fmt::format("--url: '{}': only http and https are spoken", url));
    host_ = part_of(parsed.get(), CURLUPART_HOST);
    origin_ = origin_of(parsed.get());
    const std::string port = part_of(parsed.get(), CURLUPART_PORT);
    const std::size_t host_at = url.find("://") + 3;
    if (flags_.http2 && scheme != "https")
        wrong("--http2: needs https (libcurl 7.88 cannot use such a connection again without TLS)");
    // libcurl takes the next word for the host
    if (host_.empty() || host_at == url.size() || url[host_at] == '/')
        wrong(fmt::format("--url: '{}' names no host", url));
    if (!part_of(parsed.get(), CURLUPART_USER).empty() || !part_of(parsed.get(), CURLUPART_PASSWORD).empty())
        wrong(
            "--url: a secret in it is seen by everybody on this machine: put an Authorization header into a file, and "
            "say"
            " --header @FILE");
    const std::size_t after_host = url.find_first_of("/?#", host_at);
    if (message_in_url() && parts_.front().size() <= std::min(after_host, url.size() - 1))
        wrong(fmt::format("--url: '{}': {{}} may stand in the path or in the query", url));
    if (message_in_url() && url.find('#') < url.rfind(kPlace))
        wrong(fmt::format("--url: '{}': what stands behind # is not sent, so {{}} has no meaning there", url));
    authority_ = port.empty() ? host_ : host_ + ":" + port;
    if (!flags_.unix_socket.empty()) authority_ = flags_.unix_socket.substr(flags_.unix_socket.rfind('/') + 1);
}

bool HttpPlan::leads_abroad(const std::string& from, const std::string& location) const {
    const Url url(curl_url(), curl_url_cleanup);
    const auto goes_to = [&](const std::string& text) {
        constexpr unsigned kLenient = CURLU_NON_SUPPORT_SCHEME | CURLU_URLENCODE | CURLU_ALLOW_SPACE;
        return curl_url_set(url.get(), CURLUPART_URL, text.c_str(), kLenient) == CURLUE_OK;
    };
    return !goes_to(from) || !goes_to(location) || origin_of(url.get()) != origin_;
}

std::string HttpPlan::url(std::string_view message) const {
    std::string out = parts_.front();
    for (std::size_t part = 1; part < parts_.size(); ++part) {
        append_percent_encoded(out, message);
        out += parts_[part];
    }
    return out;
}

void HttpPlan::add_header(const std::string& line, const std::string& where, bool is_secret) {
    const bool is_one_line = line.find_first_of(std::string_view("\r\n\0", 3)) == std::string::npos;
    if (line.find(':') == std::string::npos || !is_token(name_in(line)) || !is_one_line)
        wrong(fmt::format("{}{} is not 'NAME: VALUE'", where, is_secret ? "" : ": '" + line + "'"));
    for (const auto& [name, why] : kReserved) {
        if (same_name(name, name_in(line))) wrong(fmt::format("{}: {} is not for you to say: {}", where, name, why));
    }
    headers_.push_back(line);
    if (!is_secret && !is_in(kForHomeAlone, name_in(line))) headers_abroad_.push_back(line);
}

void HttpPlan::add_headers_of(const std::string& path) {
    check_file("--header", path);
    std::ifstream file(path);
    std::size_t number = 0;
    for (std::string line; std::getline(file, line);) {
        ++number;
        if (line.ends_with('\r')) line.pop_back();
        if (!line.empty()) add_header(line, fmt::format("--header: line {} of '{}'", number, path), true);
    }
    if (file.bad()) throw Unusable(kExitIo, fmt::format("--header: cannot read '{}'", path));
}

bool HttpPlan::says(std::string_view name) const {
    return std::ranges::any_of(headers_, [&](const std::string& header) { return same_name(name_in(header), name); });
}

void append_percent_encoded(std::string& out, std::string_view bytes) {
    static constexpr char kDigits[] = "0123456789ABCDEF";
    for (const char byte : bytes) {
        const auto c = static_cast<unsigned char>(byte);
        const bool unreserved = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                                c == '-' || c == '.' || c == '_' || c == '~';
        if (unreserved) {
            out += byte;
        } else {
            out += '%';
            out += kDigits[c >> 4];
            out += kDigits[c & 15];
        }
    }
}

}  // namespace curfew
