// Requests by libcurl's multi interface, and nothing else: what a client without curfew reaches.
//
//     curfew-http-client --url URL --count N [--connections N] [--body N]
//
// Requests URL with the number of the request behind it, so many at a time, each answer of --body
// bytes (1024). Says {"messages":N,"seconds":S} on stdout; 1 and a line on stderr if one fails.
#include <curl/curl.h>

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <stdexcept>
#include <string>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;

struct Flags {
    std::string url;
    std::uint64_t count = 0, connections = 64, body = 1024;
};

Flags parse(int argc, char** argv) {
    Flags flags;
    for (int i = 1; i + 1 < argc; i += 2) {
        const std::string name = argv[i], value = argv[i + 1];
        const auto number = [&] { return std::strtoull(value.c_str(), nullptr, 10); };
        if (name == "--url") flags.url = value;
        if (name == "--count") flags.count = number();
        if (name == "--connections") flags.connections = number();
        if (name == "--body") flags.body = number();
    }
    if (flags.url.empty() || flags.count == 0) throw std::runtime_error("say --url URL --count N");
    return flags;
}

struct Request {
    CURL* easy = curl_easy_init();
    std::string body;
};

std::size_t on_body(char* bytes, std::size_t size, std::size_t count, void* body) {
    static_cast<std::string*>(body)->append(bytes, size * count);
    return size * count;
}

void add(CURLM* multi, Request& request, const Flags& flags, std::uint64_t number) {
    request.body.clear();
    curl_easy_setopt(request.easy, CURLOPT_URL, (flags.url + std::to_string(number)).c_str());
    curl_multi_add_handle(multi, request.easy);
}

void check(const CURLMsg& message, const Request& request, const Flags& flags) {
    long status = 0;
    curl_easy_getinfo(request.easy, CURLINFO_RESPONSE_CODE, &status);
    if (message.data.result != CURLE_OK || status != 200 || request.body.size() != flags.body)
        throw std::runtime_error("a request failed: " + std::string(curl_easy_strerror(message.data.result)) +
                                 ", status " + std::to_string(status));
}

void run(const Flags& flags) {
    curl_global_init(CURL_GLOBAL_DEFAULT);
    CURLM* multi = curl_multi_init();
    std::vector<Request> requests(flags.connections);
    const Clock::time_point began = Clock::now();
    std::uint64_t begun = 0, ended = 0;
    for (Request& request : requests) {
        curl_easy_setopt(request.easy, CURLOPT_WRITEFUNCTION, &on_body);
        curl_easy_setopt(request.easy, CURLOPT_WRITEDATA, &request.body);
        curl_easy_setopt(request.easy, CURLOPT_PRIVATE, &request);
        if (begun < flags.count) add(multi, request, flags, begun++);
    }
    while (ended < flags.count) {
        int running = 0, left = 0;
        curl_multi_perform(multi, &running);
        while (const CURLMsg* message = curl_multi_info_read(multi, &left)) {
            char* self = nullptr;
            curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &self);
            auto& request = *reinterpret_cast<Request*>(self);
            check(*message, request, flags);
            curl_multi_remove_handle(multi, request.easy);
            ++ended;
            if (begun < flags.count) add(multi, request, flags, begun++);
        }
        if (ended < flags.count) curl_multi_poll(multi, nullptr, 0, 1000, nullptr);
    }
    const std::chrono::duration<double> took = Clock::now() - began;
    std::printf("{\"messages\":%llu,\"seconds\":%.6f}\n", static_cast<unsigned long long>(ended), took.count());
}

}  // namespace

int main(int argc, char** argv) {
    try {
        run(parse(argc, argv));
        return 0;
    } catch (const std::exception& error) {
        std::fprintf(stderr, "curfew-http-client: %s\n", error.what());
        return 1;
    }
}
