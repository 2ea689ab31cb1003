// A worker that does what `--handler spin:10ms` does and keeps an account of it: when each attempt
// began and ended, and when its thread had no processor in between, so that what a loser burned
// after the win can be told exactly.
//
//     BURNER_ACCOUNT=FILE curfew-burner [the flags of a worker]
//
// Appends a line for each attempt to the file: `SEQ BEGAN ENDED done|stopped [FROM-TO ...]`,
// instants of the monotonic clock in ns, which all processes of a machine share. Any number of
// workers may write to the same file.
#include <curfew/worker.h>
#include <fcntl.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>

namespace {

constexpr std::int64_t kWorkNs = 10'000'000;
/// A look at the clock and the token takes some 50 ns, so who has not looked for so long was not
/// running; what an interrupt takes passes for work.
constexpr std::int64_t kPauseNs = 20'000;

std::int64_t now_ns() {
    return std::chrono::nanoseconds(std::chrono::steady_clock::now().time_since_epoch()).count();
}

/// Burns until `until` or the stop; notes each pause. Returns the last look.
std::int64_t burn(std::int64_t until, const std::stop_token& stop, std::string& pauses) {
    std::int64_t last = now_ns();
    while (last < until && !stop.stop_requested()) {
        const std::int64_t now = now_ns();
        if (now - last >= kPauseNs) pauses += ' ' + std::to_string(last) + '-' + std::to_string(now);
        last = now;
    }
    return last;
}

}  // namespace

int main(int argc, char** argv) {
    const char* path = std::getenv("BURNER_ACCOUNT");
    const int account = path == nullptr ? -1 : ::open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    if (account < 0) {
        std::fprintf(stderr,
                     "curfew-burner: say in BURNER_ACCOUNT where to write the account, a file that can be opened\n");
        return 2;
    }
    return curfew::run_worker(argc, argv, [account](const curfew::Message& message, std::stop_token stop) {
        std::string pauses;
        const std::int64_t began = now_ns();
        const std::int64_t ended = burn(began + kWorkNs, stop, pauses);
        const bool done = ended >= began + kWorkNs;
        const std::string line = std::to_string(message.seq) + ' ' + std::to_string(began) + ' ' +
                                 std::to_string(ended) + (done ? " done" : " stopped") + pauses + '\n';
        if (::write(account, line.data(), line.size()) != static_cast<ssize_t>(line.size())) {
            return curfew::Answer::rejected("the account cannot be written");
        }
        return done ? curfew::Answer::ok(std::string(message.payload)) : curfew::Answer::failed("stopped");
    });
}
