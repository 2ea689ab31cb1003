// One request at a time to a service, by a handle of libcurl that is used again for the next: what
// it says, what comes back, and how that counts.
#pragma once

#include <curl/curl.h>

#include <array>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "worker/handlers/handler.h"
#include "worker/handlers/http/plan.h"
#include "worker/handlers/http/transfers.h"

namespace curfew {

/// How a request went, as far as its service is concerned.
struct HttpEnd {
    enum class Service : std::uint8_t {
        answered,   ///< it works, whether or not its answer is a result
        refused,    ///< no answer, or one that says that it does not work
        wait,       ///< it asks to be asked later
        not_taken,  ///< it closes its connections before it takes the request
    };
    Service service = Service::answered;
    Duration wait_for{};
    long status = 0;  ///< 0: there was no answer
    WorkEnd work;
};

/// The user's headers for libcurl, shared by all requests of a plan.
struct UserHeaders {
    using List = std::unique_ptr<curl_slist, void (*)(curl_slist*)>;
    explicit UserHeaders(const HttpPlan& plan);
    List home, abroad;  ///< `abroad`: behind a redirect to another origin
};

class HttpRequest {
public:
    /// All of them outlive it.
    HttpRequest(const HttpPlan& plan, Transfers& transfers, const UserHeaders& headers, Slot slot,
                std::size_t max_output);

    /// Writes down what it is to say. An error: it cannot be said.
    [[nodiscard]] std::optional<std::string> prepare(Instant now, const Work& work);
    /// What has come of it.
    [[nodiscard]] HttpEnd end(CURLcode code);

    [[nodiscard]] CURL* handle() const { return easy_.get(); }
    [[nodiscard]] Instant began() const { return began_; }

private:
    void set_options();
    void set_method();
    void add_header(std::string line);
    void say_headers(curl_slist* of_the_user);
    [[nodiscard]] bool leads_abroad(std::string_view location) const;
    [[nodiscard]] std::string words_of(CURLcode code) const;
    [[nodiscard]] bool looks_like_the_other(CURLcode code, std::string_view words) const;
    [[nodiscard]] std::string full_result() const;
    static std::size_t on_body(char* bytes, std::size_t size, std::size_t count, void* self);
    static std::size_t on_header(char* bytes, std::size_t size, std::size_t count, void* self);

    const HttpPlan& plan_;
    const UserHeaders& user_headers_;
    const std::size_t max_output_;
    const std::unique_ptr<CURL, void (*)(CURL*)> easy_;
    Instant began_{};
    std::string message_;
    std::vector<std::string> lines_;  // our headers
    std::vector<curl_slist> nodes_;   // the same for libcurl, with the user's behind them
    std::string body_;
    std::vector<std::array<std::string, 2>> headers_;  // of the last answer
    std::size_t header_bytes_ = 0;
    bool too_long_ = false;
    bool says_retry_after_ = false;
    std::array<char, CURL_ERROR_SIZE> error_{};
};

}  // namespace curfew
