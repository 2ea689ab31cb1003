// A client at both ends of a group: pushes messages to the broker's ingest and pulls the outcomes
// from the collector's sink. Either one at a time, each sent when the one before has come back; or,
// with --rate, in bursts at instants that stand from the beginning, whatever has come back by then.
// There latency counts from the burst's instant, so that a message that could not be sent in time
// is as late as it was (no coordinated omission).
//
//     curfew-ping-pong --ingest ENDPOINT --sink ENDPOINT --count N [--warm-up N] [--size BYTES] [--rate N] [--burst-us
//     US]
//
// Binds the sink's endpoint. Says
// {"messages":N,"seconds":S,"p50_us":..,"p99_us":..,"most_us":..,"lateness_p99_us":..} on stdout,
// without the messages of the warm-up; lateness is that of the sends. 1 and a line on stderr if
// anything fails: an outcome that comes twice, or was no message, or does not come. It stays at the
// sink until its stdin ends. One thread, and one of ZeroMQ's.
#include <sys/timerfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>
#include <zmq.hpp>

namespace {

using Clock = std::chrono::steady_clock;
using Instant = Clock::time_point;

constexpr std::chrono::milliseconds kPatience{30'000};
constexpr std::size_t kDigits = 12;
constexpr int kReadsATurn = 64;  // then the schedule is looked at again

struct Flags {
    std::string ingest, sink;
    std::uint64_t count = 0, warm_up = 0, size = 128, rate = 0, burst_us = 500;
};

Flags parse(int argc, char** argv) {
    Flags flags;
    for (int i = 1; i + 1 < argc; i += 2) {
        const std::string name = argv[i], value = argv[i + 1];
        const auto number = [&] { return std::strtoull(value.c_str(), nullptr, 10); };
        if (name == "--ingest") flags.ingest = value;
        if (name == "--sink") flags.sink = value;
        if (name == "--count") flags.count = number();
        if (name == "--warm-up") flags.warm_up = number();
        if (name == "--size") flags.size = std::max<std::uint64_t>(kDigits, number());
        if (name == "--rate") flags.rate = number();
        if (name == "--burst-us") flags.burst_us = std::clamp<std::uint64_t>(number(), 50, 1000);
    }
    if (flags.ingest.empty() || flags.sink.empty() || flags.count == 0)
        throw std::runtime_error("say --ingest ENDPOINT --sink ENDPOINT --count N");
    return flags;
}

double micros(Clock::duration duration) {
    return std::chrono::duration<double, std::micro>(duration).count();
}

double quantile(std::vector<double>& sorted, double share) {
    return sorted.empty() ? 0
                          : sorted[std::min(sorted.size() - 1,
                                            static_cast<std::size_t>(share * static_cast<double>(sorted.size())))];
}

class Client {
public:
    explicit Client(const Flags& flags)
        : flags_(flags),
          all_(flags.warm_up + flags.count),
          from_(all_),
          back_(all_, false),
          latencies_(flags.count),
          lateness_(flags.count),
          message_(flags.size, 'x'),
          push_(context_, zmq::socket_type::push),
          pull_(context_, zmq::socket_type::pull) {
        // The schedule waits for nobody; what it can hold is the count
        push_.set(zmq::sockopt::sndhwm, 0);
        pull_.set(zmq::sockopt::rcvhwm, 0);
        push_.set(zmq::sockopt::linger, 0);
        // Their memory is there from now on: to take more in the middle would make the messages of
        // that moment late.
        latencies_.clear();
        lateness_.clear();
        pull_.bind(flags.sink);
        push_.connect(flags.ingest);
    }

    void one_at_a_time() {
        pull_.set(zmq::sockopt::rcvtimeo, static_cast<int>(kPatience.count()));
        for (std::uint64_t number = 0; number < all_; ++number) {
            send(number, Clock::now());
            if (!receive(zmq::recv_flags::none)) throw std::runtime_error("an outcome does not come");
        }
    }

    void by_schedule() {
        const std::chrono::microseconds every(flags_.burst_us);
        const int timer = make_timer(every);
        const Instant begun_at = Clock::now();
        std::uint64_t burst = 0, sent = 0;
        for (Instant heard_at = begun_at; came_ < all_;) {
            for (; sent < all_ && begun_at + burst * every <= Clock::now(); ++burst) {
                const std::uint64_t due = (burst + 1) * flags_.burst_us * flags_.rate / 1'000'000;
                for (; sent < std::min(due, all_); ++sent) send(sent, begun_at + burst * every);
            }
            int reads = 0;
            while (reads < kReadsATurn && receive(zmq::recv_flags::dontwait)) ++reads;
            if (reads > 0) heard_at = Clock::now();
            if (reads == kReadsATurn || came_ == all_) continue;
            if (Clock::now() - heard_at > kPatience) throw std::runtime_error("outcomes do not come");
            zmq_pollitem_t items[] = {{pull_.handle(), 0, ZMQ_POLLIN, 0}, {nullptr, timer, ZMQ_POLLIN, 0}};
            if (sent < all_) {
                zmq_poll(items, 2, static_cast<long>(kPatience.count()));
                std::uint64_t ticks = 0;
                (void)!read(timer, &ticks, sizeof ticks);
            } else {
                zmq_poll(items, 1, static_cast<long>(kPatience.count()));
            }
        }
        close(timer);
    }

    void say() {
        std::sort(latencies_.begin(), latencies_.end());
        std::sort(lateness_.begin(), lateness_.end());
        const std::chrono::duration<double> took = last_at_ - from_[flags_.warm_up];
        std::printf(
            "{\"messages\":%zu,\"seconds\":%.6f,\"p50_us\":%.1f,\"p99_us\":%.1f,\"most_us\":%.1f,\"lateness_p99_us\":%."
            "1f}\n",
            latencies_.size(), took.count(), quantile(latencies_, 0.5), quantile(latencies_, 0.99), latencies_.back(),
            quantile(lateness_, 0.99));
    }

private:
    static int make_timer(std::chrono::microseconds every) {
        const int timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
        const long ns = static_cast<long>(every.count()) * 1000;
        const itimerspec times{{0, ns}, {0, ns}};
        if (timer < 0 || timerfd_settime(timer, 0, &times, nullptr) != 0)
            throw std::system_error(errno, std::generic_category(), "timerfd");
        return timer;
    }

    void send(std::uint64_t number, Instant counts_from) {
        std::uint64_t left = number;
        for (std::size_t digit = kDigits; digit-- > 0; left /= 10) message_[digit] = static_cast<char>('0' + left % 10);
        from_[number] = counts_from;
        if (number >= flags_.warm_up) lateness_.push_back(micros(Clock::now() - counts_from));
        if (!push_.send(zmq::buffer(message_))) throw std::runtime_error("cannot send");
    }

    bool receive(zmq::recv_flags how) {
        if (!pull_.recv(outcome_, how)) return false;
        const Instant now = Clock::now();
        const std::string_view bytes = outcome_.to_string_view();
        const std::uint64_t number = std::strtoull(std::string(bytes.substr(0, kDigits)).c_str(), nullptr, 10);
        if (bytes.size() != message_.size() || number >= all_)
            throw std::runtime_error("an outcome that was no message");
        if (back_[number]) throw std::runtime_error("an outcome came twice");
        back_[number] = true;
        ++came_;
        last_at_ = now;
        if (number >= flags_.warm_up) latencies_.push_back(micros(now - from_[number]));
        return true;
    }

    const Flags& flags_;
    std::uint64_t all_, came_ = 0;
    std::vector<Instant> from_;  // by number: where its latency begins
    std::vector<bool> back_;
    std::vector<double> latencies_, lateness_;
    std::string message_;
    Instant last_at_;
    zmq::context_t context_;
    zmq::socket_t push_, pull_;
    zmq::message_t outcome_;
};

}  // namespace

int main(int argc, char** argv) {
    try {
        const Flags flags = parse(argc, argv);
        Client client(flags);
        if (flags.rate == 0) {
            client.one_at_a_time();
        } else {
            client.by_schedule();
        }
        client.say();
        std::fflush(stdout);
        // Whoever reads a sink has to stay until its group has ended
        while (std::getchar() != EOF) {
        }
        return 0;
    } catch (const std::exception& error) {
        std::fprintf(stderr, "curfew-ping-pong: %s\n", error.what());
        return 1;
    }
}
