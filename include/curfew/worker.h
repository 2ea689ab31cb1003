// A curfew worker in C++: write a function, get a worker process.
//
//     curfew::Answer solve(const curfew::Message& message, std::stop_token stop);
//     int main(int argc, char** argv) { return curfew::run_worker(argc, argv, solve); }
//
// The program takes the flags of curfew-worker (--slots, --credit, --pool, --name, --run-dir, ...;
// see --help) but for --handler. Link with curfew::worker (CMake: find_package(curfew)).
//
// The function is called on --slots threads at once. When another attempt has won, or the deadline
// has passed, `stop` asks it to return: what it returns then is dropped or, if it had the answer in
// time, still used. A function that does not return within --grace puts its slot out of service,
// and when no slot is left, or at deadline + grace, its process is replaced: so look at `stop` more
// often than that. An exception is a failed attempt.
//
// What you hang on `stop` (a std::stop_callback, or a condition_variable_any that waits with it)
// runs on a thread of the library, the same one for all slots: not on your function's thread, which
// has to be ready for that, and not on the one that speaks to the broker. It must not throw, as
// that ends the process, and should not block: while it does, no other slot is told to stop. It may
// take a mutex that your function holds for a short time.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>

namespace curfew {

/// What is to be worked on. The views are valid during the call.
struct Message {
    std::string_view payload;
    std::string_view task;  ///< a stable name, `epoch-seq`: the same for each attempt of the task
    std::uint64_t seq = 0;
    std::uint32_t attempt = 1;  ///< 1 for the task's first attempt
    /// As it stands at the start; it moves when the process stands still meanwhile. `stop` is what
    /// counts.
    std::optional<std::chrono::steady_clock::time_point> deadline_at;
};

struct Answer {
    enum class Kind : std::uint8_t { ok, failed, rejected };
    Kind kind = Kind::ok;
    std::string text;  ///< the result, or why there is none

    static Answer ok(std::string result) { return {Kind::ok, std::move(result)}; }
    static Answer failed(std::string why) { return {Kind::failed, std::move(why)}; }
    /// Failed, and no other attempt will do better: the task settles as failed at once.
    static Answer rejected(std::string why) { return {Kind::rejected, std::move(why)}; }
};

using Function = std::function<Answer(const Message& message, std::stop_token stop)>;

/// The whole process; returns its exit code.
int run_worker(int argc, char** argv, Function function);

}  // namespace curfew
