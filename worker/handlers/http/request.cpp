#include "worker/handlers/http/request.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <stdexcept>

#include "common/look/json_object.h"
#include "common/version.h"
#include "worker/handlers/http/tls_files.h"
#include "worker/handlers/sender_words.h"

namespace curfew {
namespace {

/// libcurl refuses to send a head of 1 MiB or more.
constexpr std::size_t kMostUrl = 1'000'000;
constexpr std::size_t kMostHeaders = 256UL * 1024;
/// Of an answer that is no result, so much is told.
constexpr std::size_t kExcerpt = 200;
constexpr long kNoConnectTimeout = 24L * 3600 * 1000;

constexpr std::size_t kMostOwnHeaders = 6;
constexpr std::string_view kOtherScheme = " (is it http or https that the service speaks there?)";

long millis(Duration duration) {
    return static_cast<long>(std::chrono::duration_cast<std::chrono::milliseconds>(duration).count());
}

/// Nothing was wrong with the service: it has answered, and we do not take it.
bool is_ours(CURLcode code) {
    switch (code) {
        case CURLE_WRITE_ERROR:
        case CURLE_TOO_MANY_REDIRECTS:
        case CURLE_UNSUPPORTED_PROTOCOL:
        case CURLE_URL_MALFORMAT:
        case CURLE_BAD_CONTENT_ENCODING: return true;
        default: return false;
    }
}

curl_slist* list_of(const std::vector<std::string>& lines) {
    curl_slist* list = nullptr;
    for (const std::string& line : lines) list = curl_slist_append(list, line.c_str());
    return list;
}

/// The first line of a text, within a bound.
std::string excerpt(std::string_view text) {
    text = text.substr(0, std::min(text.find_first_of("\r\n"), kExcerpt));
    return text.empty() ? std::string() : ": " + std::string(text);
}

}  // namespace

UserHeaders::UserHeaders(const HttpPlan& plan)
    : home(list_of(plan.headers()), curl_slist_free_all), abroad(list_of(plan.headers_abroad()), curl_slist_free_all) {}

HttpRequest::HttpRequest(const HttpPlan& plan, Transfers& transfers, const UserHeaders& headers, Slot slot,
                         std::size_t max_output)
    : plan_(plan), user_headers_(headers), max_output_(max_output), easy_(curl_easy_init(), curl_easy_cleanup) {
    if (easy_ == nullptr) throw std::runtime_error("libcurl has no handle left");
    curl_easy_setopt(handle(), CURLOPT_PRIVATE, reinterpret_cast<void*>(std::uintptr_t{slot}));
    transfers.prepare(handle());
    set_options();
    set_method();
    nodes_.reserve(kMostOwnHeaders);
    lines_.reserve(kMostOwnHeaders);
}

// ---- what is said ------------------------------------------------------------------------------

void HttpRequest::set_options() {
    CURL* easy = handle();
    const HttpFlags& flags = plan_.flags();
    const long version = flags.http2 ? CURL_HTTP_VERSION_2TLS : CURL_HTTP_VERSION_1_1;
    curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, version);
    curl_easy_setopt(easy, CURLOPT_PIPEWAIT, flags.http2 ? 1L : 0L);
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(easy, CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, flags.max_redirects > 0 ? 1L : 0L);
    curl_easy_setopt(easy, CURLOPT_MAXREDIRS, static_cast<long>(flags.max_redirects));
    // A message of dots is no way up
    curl_easy_setopt(easy, CURLOPT_PATH_AS_IS, 1L);
    curl_easy_setopt(
        easy, CURLOPT_CONNECTTIMEOUT_MS,
        flags.connect_timeout > Duration::zero() ? std::max(1L, millis(flags.connect_timeout)) : kNoConnectTimeout);
    curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
    curl_easy_setopt(easy, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
    curl_easy_setopt(easy, CURLOPT_USERAGENT, (std::string("curfew/") + kVersionText).c_str());
    if (flags.compressed) curl_easy_setopt(easy, CURLOPT_ACCEPT_ENCODING, "");
    set_tls_files(easy, flags);
    if (!flags.unix_socket.empty()) curl_easy_setopt(easy, CURLOPT_UNIX_SOCKET_PATH, flags.unix_socket.c_str());
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, error_.data());
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, &HttpRequest::on_body);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, this);
    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, &HttpRequest::on_header);
    curl_easy_setopt(easy, CURLOPT_HEADERDATA, this);
}

void HttpRequest::set_method() {
    CURL* easy = handle();
    const std::string& method = plan_.method();
    if (!plan_.message_in_url()) {
        curl_easy_setopt(easy, CURLOPT_POST, 1L);
    } else if (method == "HEAD") {
        curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
    } else {
        curl_easy_setopt(easy, CURLOPT_HTTPGET, 1L);
    }
    const bool is_usual = method == "HEAD" || method == (plan_.message_in_url() ? "GET" : "POST");
    if (!is_usual) curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, method.c_str());
    // A redirect of a body is a redirect of the message, not a GET without it
    if (!plan_.message_in_url()) curl_easy_setopt(easy, CURLOPT_POSTREDIR, static_cast<long>(CURL_REDIR_POST_ALL));
}

void HttpRequest::add_header(std::string line) {
    if (!plan_.says(std::string_view(line).substr(0, line.find_first_of(":;")))) lines_.push_back(std::move(line));
}

std::optional<std::string> HttpRequest::prepare(Instant now, const Work& work) {
    began_ = now;
    body_.clear();
    headers_.clear();
    header_bytes_ = 0;
    too_long_ = says_retry_after_ = false;
    error_[0] = '\0';
    const std::string url = plan_.url(plan_.message_in_url() ? work.payload : std::string_view());
    if (url.size() > kMostUrl)
        return fmt::format(
            "the URL would have {} bytes, at most {} can be sent; without {{}} in --url the message is the"
            " body",
            url.size(), kMostUrl);
    curl_easy_setopt(handle(), CURLOPT_URL, url.c_str());
    lines_.clear();
    if (work.deadline_at != kNever) {
        const long left = std::max(0L, millis(work.deadline_at - now));
        add_header(fmt::format("X-Curfew-Deadline-Ms: {}", left));
        if (plan_.flags().grpc_timeout) add_header(fmt::format("grpc-timeout: {}m", std::min(left, 99'999'999L)));
    }
    if (plan_.flags().pass_headers) {
        for (std::string& line : header_lines_of(work)) add_header(std::move(line));
    }
    add_header(fmt::format("X-Curfew-Attempt: {}", work.ordinal));
    add_header(fmt::format("Idempotency-Key: {}-{}", work.epoch, work.seq));
    if (!plan_.message_in_url()) {
        message_ = work.payload;
        curl_easy_setopt(handle(), CURLOPT_POSTFIELDS, message_.data());
        curl_easy_setopt(handle(), CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(message_.size()));
        const bool is_said =
            std::ranges::any_of(lines_, [](const std::string& line) { return line.starts_with("Content-Type:"); });
        if (!is_said) add_header("Content-Type: application/octet-stream");
        add_header("Expect:");
    }
    say_headers(user_headers_.home.get());
    return std::nullopt;
}

void HttpRequest::say_headers(curl_slist* of_the_user) {
    nodes_.clear();
    for (std::string& line : lines_) nodes_.push_back({line.data(), of_the_user});
    for (std::size_t i = 1; i < nodes_.size(); ++i) nodes_[i - 1].next = &nodes_[i];
    curl_easy_setopt(handle(), CURLOPT_HTTPHEADER, nodes_.empty() ? of_the_user : nodes_.data());
}

// ---- what comes back ---------------------------------------------------------------------------

/// Returning less than was given ends the transfer.
std::size_t HttpRequest::on_body(char* bytes, std::size_t size, std::size_t count, void* self) {
    auto& request = *static_cast<HttpRequest*>(self);
    if (size * count > request.max_output_ - request.body_.size()) {
        request.too_long_ = true;
        return size * count + 1;
    }
    request.body_.append(bytes, size * count);
    return size * count;
}

std::size_t HttpRequest::on_header(char* bytes, std::size_t size, std::size_t count, void* self) {
    auto& request = *static_cast<HttpRequest*>(self);
    std::string_view line(bytes, size * count);
    request.header_bytes_ += line.size();
    if (request.header_bytes_ > kMostHeaders) return line.size() + 1;
    if (line.starts_with("HTTP/")) {  // of a redirect, or 1xx
        request.headers_.clear();
        request.says_retry_after_ = false;
    }
    const std::size_t colon = line.find(':');
    if (colon == std::string_view::npos) return size * count;
    const std::string_view name = line.substr(0, colon);
    std::string_view value = line.substr(colon + 1);
    value.remove_prefix(std::min(value.find_first_not_of(" \t"), value.size()));
    value.remove_suffix(value.size() - std::min(value.find_last_not_of(" \t\r\n") + 1, value.size()));
    if (same_name(name, "Retry-After")) request.says_retry_after_ = true;
    // From now on, also where it is led home again
    if (same_name(name, "Location") && request.leads_abroad(value))
        request.say_headers(request.user_headers_.abroad.get());
    if (request.plan_.flags().result == "full") request.headers_.push_back({std::string(name), std::string(value)});
    return size * count;
}

bool HttpRequest::leads_abroad(std::string_view location) const {
    if (plan_.flags().max_redirects == 0) return false;
    const char* from = nullptr;
    curl_easy_getinfo(handle(), CURLINFO_EFFECTIVE_URL, &from);
    return plan_.leads_abroad(from == nullptr ? "" : from, std::string(location));
}

std::string HttpRequest::words_of(CURLcode code) const {
    if (too_long_) return fmt::format("the answer has more than --max-output {} bytes", max_output_);
    if (header_bytes_ > kMostHeaders) return fmt::format("the answer has more than {} bytes of headers", kMostHeaders);
    std::string words = error_[0] != '\0' ? error_.data() : curl_easy_strerror(code);
    long error = 0;
    curl_easy_getinfo(handle(), CURLINFO_OS_ERRNO, &error);
    const std::string& socket = plan_.flags().unix_socket;
    if (!socket.empty() && code == CURLE_COULDNT_CONNECT && error != 0) words = std::strerror(static_cast<int>(error));
    if (!socket.empty()) words.insert(0, fmt::format("unix socket {}: ", socket));
    return words + std::string(looks_like_the_other(code, words) ? kOtherScheme : "");
}

/// https where http was meant, or the other way round. Only words follow from it.
bool HttpRequest::looks_like_the_other(CURLcode code, std::string_view words) const {
    if (plan_.is_https())
        return code == CURLE_SSL_CONNECT_ERROR && words.find("wrong version number") != std::string_view::npos;
    long status = 0;
    curl_easy_getinfo(handle(), CURLINFO_RESPONSE_CODE, &status);
    // Those that speak TLS say nothing to a plain request, or an alert
    return status == 0 && (code == CURLE_GOT_NOTHING || code == CURLE_UNSUPPORTED_PROTOCOL);
}

std::string HttpRequest::full_result() const {
    long status = 0;
    curl_easy_getinfo(handle(), CURLINFO_RESPONSE_CODE, &status);
    return JsonObject().add("status", status).add("headers", headers_).add_bytes("body", body_).text();
}

HttpEnd HttpRequest::end(CURLcode code) {
    HttpEnd end;
    curl_easy_getinfo(handle(), CURLINFO_RESPONSE_CODE, &end.status);
    const bool is_answer = code == CURLE_OK || (too_long_ && end.status != 0 && !plan_.ok().has(end.status));
    if (!is_answer) {
        end.work.finish = Finish::failed;
        end.work.error = words_of(code);
        if (!is_ours(code)) end.service = HttpEnd::Service::refused;
        // libcurl has begun it on five connections, each of which was closed before it was taken
        if (std::string_view(error_.data()).starts_with("Connection died, tried")) {
            end.service = HttpEnd::Service::not_taken;
            end.work.finish = Finish::returned;
        }
        return end;
    }
    if (plan_.ok().has(end.status)) {
        end.work.result = plan_.flags().result == "full" ? full_result() : std::move(body_);
        body_ = {};
        return end;
    }
    end.work.finish = plan_.rejected().has(end.status) ? Finish::rejected : Finish::failed;
    const bool redirects =
        end.status >= 300 && end.status < 400 && end.status != 304 && plan_.flags().max_redirects == 0;
    const bool wants_https = end.status == 400 && !plan_.is_https() && body_.find("HTTPS") != std::string::npos;
    end.work.error =
        fmt::format("status {}{}{}{}", end.status, redirects ? " (redirects are not followed: --max-redirects)" : "",
                    wants_https ? kOtherScheme : "", excerpt(body_));
    if (end.work.finish == Finish::rejected) return end;
    curl_off_t retry_after = 0;
    curl_easy_getinfo(handle(), CURLINFO_RETRY_AFTER, &retry_after);
    if ((end.status == 429 || end.status == 503) && says_retry_after_) {
        constexpr curl_off_t kMostSeconds = 24L * 3600;
        end.service = HttpEnd::Service::wait;
        end.wait_for = std::chrono::seconds(std::clamp<curl_off_t>(retry_after, 0, kMostSeconds));
        end.work.finish = Finish::returned;
    } else if (end.status >= 500 || end.status == 429) {
        end.service = HttpEnd::Service::refused;
    }
    return end;
}

}  // namespace curfew
