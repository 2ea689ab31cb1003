// What every request to one service has in common, made from the flags and checked: the URL around
// the message, the method, headers, statuses. Immutable.
#pragma once

#include <bitset>
#include <string>
#include <string_view>
#include <vector>

#include "worker/handlers/http/flags.h"

namespace curfew {

/// Statuses as in `2xx,304,400-404`.
class Statuses {
public:
    /// Throws std::invalid_argument, which names the flag.
    Statuses(std::string_view flag, std::string_view text);
    [[nodiscard]] bool has(long status) const {
        return status >= 0 && status < kMost && set_[static_cast<std::size_t>(status)];
    }
    [[nodiscard]] bool overlaps(const Statuses& other) const { return (set_ & other.set_).any(); }

private:
    static constexpr long kMost = 600;
    std::bitset<kMost> set_;
};

class HttpPlan {
public:
    /// Reads the files of `--header @FILE`. Throws std::invalid_argument, Unusable (a file that
    /// cannot be read).
    explicit HttpPlan(const HttpFlags& flags);

    [[nodiscard]] const HttpFlags& flags() const { return flags_; }
    /// The URL for a message.
    [[nodiscard]] std::string url(std::string_view message) const;
    /// The message stands in the URL; else it is the body.
    [[nodiscard]] bool message_in_url() const { return parts_.size() > 1; }
    [[nodiscard]] const std::string& method() const { return method_; }
    [[nodiscard]] const std::string& host() const { return host_; }
    /// Host and port, for --pool.
    [[nodiscard]] const std::string& authority() const { return authority_; }
    /// Of the user's: `NAME: VALUE`.
    [[nodiscard]] const std::vector<std::string>& headers() const { return headers_; }
    /// Those of them that go along to another origin: none from a file, no credentials, no Host.
    [[nodiscard]] const std::vector<std::string>& headers_abroad() const { return headers_abroad_; }
    /// Whether a redirect from this URL leads to another origin (scheme, host and port).
    [[nodiscard]] bool leads_abroad(const std::string& from, const std::string& location) const;
    [[nodiscard]] bool is_https() const { return origin_.starts_with("https:"); }
    /// The user says it: we do not.
    [[nodiscard]] bool says(std::string_view name) const;
    [[nodiscard]] const Statuses& ok() const { return ok_; }
    [[nodiscard]] const Statuses& rejected() const { return rejected_; }

private:
    void split_url();
    void add_header(const std::string& line, const std::string& where, bool is_secret);
    void add_headers_of(const std::string& path);

    HttpFlags flags_;
    std::vector<std::string> parts_;  // of the URL, around the message
    std::string method_;
    std::string host_, authority_, origin_;
    std::vector<std::string> headers_, headers_abroad_;
    Statuses ok_;
    Statuses rejected_;
};

/// Names of headers, whatever their case.
[[nodiscard]] bool same_name(std::string_view a, std::string_view b);
/// Every byte that is not unreserved (RFC 3986, 2.3) as %XX.
void append_percent_encoded(std::string& out, std::string_view bytes);

}  // namespace curfew
