// The original daemon, in one process: it starts K attempts of each message on a pool of threads,
// takes the first result and asks the others to stop. Written as well as that can be: the attempts
// of a message go to different threads, queues are bounded and filled by the batch, the end of
// every attempt is counted, and none outlives the run. What a process of its own would give it is
// missing: an attempt that ignores its stop keeps its thread, one that crashes takes all along.
//
//     curfew-seed-daemon --input FILE --output FILE [--workers N] [--fanout K] [--batch LINES]
//
// Says {"messages":N,"attempts":A,"seconds":S} on stdout, from the first message read to the last
// result written; 1 and a line on stderr if anything fails.
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <exception>
#include <fstream>
#include <memory>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <stop_token>
#include <string>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t kMostBatches = 16;  // in a queue

struct Flags {
    std::string input, output;
    unsigned long workers = 4, fanout = 4, batch = 256;
};

Flags parse(int argc, char** argv) {
    Flags flags;
    for (int i = 1; i + 1 < argc; i += 2) {
        const std::string name = argv[i], value = argv[i + 1];
        const auto number = [&] { return std::max(1UL, std::strtoul(value.c_str(), nullptr, 10)); };
        if (name == "--input") flags.input = value;
        if (name == "--output") flags.output = value;
        if (name == "--workers") flags.workers = number();
        if (name == "--fanout") flags.fanout = number();
        if (name == "--batch") flags.batch = number();
    }
    if (flags.input.empty() || flags.output.empty()) throw std::runtime_error("say --input FILE --output FILE");
    return flags;
}

/// A bounded queue. Who pushes waits for room, who pops for something; after close() what is in it
/// is still popped.
template <typename Item>
class Queue {
public:
    void push(Item item) {
        std::unique_lock lock(mutex_);
        room_.wait(lock, [&] { return items_.size() < kMostBatches; });
        items_.push_back(std::move(item));
        lock.unlock();
        something_.notify_one();
    }
    std::optional<Item> pop() {
        std::unique_lock lock(mutex_);
        something_.wait(lock, [&] { return closed_ || !items_.empty(); });
        if (items_.empty()) return std::nullopt;
        std::optional<Item> item(std::move(items_.front()));
        items_.pop_front();
        lock.unlock();
        room_.notify_one();
        return item;
    }
    void close() {
        const std::lock_guard lock(mutex_);
        closed_ = true;
        something_.notify_all();
    }

private:
    std::mutex mutex_;
    std::condition_variable room_, something_;
    std::deque<Item> items_;
    bool closed_ = false;
};

/// A message and its race. It lives until the last of its attempts has ended.
struct Race {
    explicit Race(std::string text) : message(std::move(text)) {}
    std::string message;
    std::stop_source losers;
    std::atomic<bool> won = false;
};
using Races = std::deque<Race>;

/// Attempts for one thread: of these races, those that are listed.
struct Attempts {
    std::shared_ptr<Races> races;
    std::vector<Race*> of;
};
using Results = std::vector<std::string>;

/// How attempts ended. Each thread counts its own.
struct Ends {
    std::uint64_t won = 0, late = 0, cancelled = 0;
};

/// The work: an echo. None if it was asked to stop.
std::optional<std::string> attempt(const std::string& message, const std::stop_token& stop) {
    if (stop.stop_requested()) return std::nullopt;
    return message;
}

Ends work(Queue<Attempts>& attempts, Queue<Results>& results) {
    Ends ends;
    while (const std::optional<Attempts> batch = attempts.pop()) {
        Results first;
        for (Race* race : batch->of) {
            std::optional<std::string> result = attempt(race->message, race->losers.get_token());
            if (!result) {
                ++ends.cancelled;
            } else if (race->won.exchange(true)) {
                ++ends.late;
            } else {
                ++ends.won;
                race->losers.request_stop();
                first.push_back(std::move(*result));
            }
        }
        if (!first.empty()) results.push(std::move(first));
    }
    return ends;
}

/// Attempts of a message go to different threads, as long as there are enough.
std::uint64_t start_all(const Flags& flags, std::ifstream& input, std::deque<Queue<Attempts>>& queues) {
    std::uint64_t started = 0;
    std::string line;
    for (bool more = true; more;) {
        const auto races = std::make_shared<Races>();
        std::vector<std::vector<Race*>> of(queues.size());
        while (races->size() < flags.batch && (more = static_cast<bool>(std::getline(input, line)))) {
            Race& race = races->emplace_back(line);
            for (unsigned long i = 0; i < flags.fanout; ++i) of[started++ % of.size()].push_back(&race);
        }
        for (std::size_t i = 0; i < queues.size(); ++i) {
            if (!of[i].empty()) queues[i].push({races, std::move(of[i])});
        }
    }
    return started;
}

/// The one that writes. An error is kept until the end, so that nobody waits for room in its queue.
class Writer {
public:
    explicit Writer(const std::string& path)
        : file_(open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600)) {
        if (file_ < 0) throw std::system_error(errno, std::generic_category(), path);
    }
    Writer(const Writer&) = delete;
    Writer& operator=(const Writer&) = delete;
    ~Writer() { close(file_); }

    void write_all(Queue<Results>& results) {
        while (const std::optional<Results> batch = results.pop()) {
            for (const std::string& result : *batch) {
                out_ += result;
                out_ += '\n';
            }
            written_ += batch->size();
            if (out_.size() >= 256 * 1024) flush();
        }
        flush();
        last_at_ = Clock::now();
    }
    [[nodiscard]] std::uint64_t written() const { return written_; }
    [[nodiscard]] Clock::time_point last_at() const { return last_at_; }
    [[nodiscard]] int error() const { return error_; }

private:
    void flush() {
        for (std::size_t done = 0; done < out_.size() && error_ == 0;) {
            const ssize_t n = write(file_, out_.data() + done, out_.size() - done);
            if (n < 0 && errno != EINTR) error_ = errno;
            if (n > 0) done += static_cast<std::size_t>(n);
        }
        out_.clear();
    }

    int file_;
    int error_ = 0;
    std::string out_;
    std::uint64_t written_ = 0;
    Clock::time_point last_at_;
};

void run(const Flags& flags) {
    std::ifstream input(flags.input, std::ios::binary);
    if (!input) throw std::runtime_error("cannot read " + flags.input);
    Writer writer(flags.output);
    Queue<Results> results;
    std::deque<Queue<Attempts>> queues(flags.workers);
    std::vector<Ends> ends(flags.workers);
    const Clock::time_point first_at = Clock::now();
    std::jthread writing([&] { writer.write_all(results); });
    std::vector<std::jthread> pool;
    for (unsigned long i = 0; i < flags.workers; ++i) {
        pool.emplace_back([&, i] { ends[i] = work(queues[i], results); });
    }
    const std::uint64_t started = start_all(flags, input, queues);
    for (Queue<Attempts>& queue : queues) queue.close();
    for (std::jthread& thread : pool) thread.join();
    results.close();
    writing.join();
    if (writer.error() != 0) throw std::system_error(writer.error(), std::generic_category(), flags.output);
    Ends all;
    for (const Ends& one : ends) {
        all.won += one.won;
        all.late += one.late;
        all.cancelled += one.cancelled;
    }
    if (all.won != writer.written() || all.won + all.late + all.cancelled != started)
        throw std::runtime_error("an attempt has no end, or two");
    const std::chrono::duration<double> took = writer.last_at() - first_at;
    std::printf("{\"messages\":%llu,\"attempts\":%llu,\"seconds\":%.6f}\n",
                static_cast<unsigned long long>(writer.written()), static_cast<unsigned long long>(started),
                took.count());
}

}  // namespace

int main(int argc, char** argv) {
    try {
        run(parse(argc, argv));
        return 0;
    } catch (const std::exception& error) {
        std::fprintf(stderr, "curfew-seed-daemon: %s\n", error.what());
        return 1;
    }
}
