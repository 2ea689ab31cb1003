// A worker of one's own: counts the primes below the number in the message, by a sieve that looks
// at its stop token.
//
//     scripts/launch examples/function/Procfile < numbers
#include <curfew/worker.h>

#include <charconv>
#include <string>
#include <vector>

namespace {

curfew::Answer count_primes(const curfew::Message& message, std::stop_token stop) {
    constexpr std::uint64_t kMost = 200'000'000;
    std::uint64_t limit = 0;
    const char* end = message.payload.data() + message.payload.size();
    if (std::from_chars(message.payload.data(), end, limit).ptr != end || limit > kMost) {
        // No other worker can do better with this message.
        return curfew::Answer::rejected("not a whole number up to 200000000: " + std::string(message.payload));
    }
    std::vector<bool> composite(limit + 1);
    std::uint64_t primes = 0;
    for (std::uint64_t n = 2; n < limit; ++n) {
        if (composite[n]) continue;
        ++primes;
        if (stop.stop_requested()) return curfew::Answer::failed("stopped");
        for (std::uint64_t multiple = n * n; multiple < limit; multiple += n) composite[multiple] = true;
    }
    return curfew::Answer::ok(std::to_string(primes));
}

}  // namespace

int main(int argc, char** argv) {
    return curfew::run_worker(argc, argv, count_primes);
}
