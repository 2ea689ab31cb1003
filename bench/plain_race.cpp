// The race over RabbitMQ without curfew, as a good programmer writes it on librabbitmq; and what
// fills and checks the queues of both.
//
//     curfew-plain-race --fill N --port PORT --exchange E --key K [--size BYTES]
//     curfew-plain-race --race N --port PORT --queues Q1,Q2,... --results R --key K [--prefetch N]
//     curfew-plain-race --move N --port PORT --queues Q --key K [--prefetch N]
//     curfew-plain-race --take N --port PORT --queues Q [--size BYTES]
//
// fill: publishes the messages 0 to N - 1, of 128 bytes, and waits until all are confirmed. race:
// each message is in each of the queues, by a fanout exchange. A consumer for each queue publishes
// the message into R as its result, and acknowledges it when that is confirmed. A collector
// publishes the first result of each id into K, and acknowledges it when that is confirmed, and the
// others at once; with `multiple` as far as there is no hole. move: one consumer, from queue to
// queue, with no race. take: takes N messages, and fails unless each is there once and whole.
//
// Each process has one connection, with one channel. Says {"messages":N,"seconds":S,"decided_s":D,
// "collector_cpu_s":C,"workers_cpu_s":W} on stdout: of the race, from when all have connected until
// the last result has come, and until the last outcome is confirmed; of the others N and S. 1 and a
// line on stderr if anything fails.
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <deque>
#include <sstream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "bench/amqp_link.h"
#include "bench/children.h"

namespace curfew::bench {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t kDigits = 12;
constexpr std::uint64_t kMostInAir = 1024;  // publishes that are not confirmed

struct Flags {
    std::string mode, exchange, key, results;
    std::vector<std::string> queues;
    std::uint64_t count = 0, size = 128;
    std::uint16_t prefetch = 1000;
    int port = 0;
};

Flags parse(int argc, char** argv) {
    Flags flags;
    for (int i = 1; i + 1 < argc; i += 2) {
        const std::string name = argv[i], value = argv[i + 1];
        const auto number = [&] { return std::strtoull(value.c_str(), nullptr, 10); };
        if (name == "--fill" || name == "--race" || name == "--move" || name == "--take")
            flags.mode = name, flags.count = number();
        if (name == "--port") flags.port = static_cast<int>(number());
        if (name == "--exchange") flags.exchange = value;
        if (name == "--key") flags.key = value;
        if (name == "--results") flags.results = value;
        if (name == "--size") flags.size = std::max<std::uint64_t>(kDigits, number());
        if (name == "--prefetch") flags.prefetch = static_cast<std::uint16_t>(number());
        if (name != "--queues") continue;
        std::istringstream names(value);
        for (std::string queue; std::getline(names, queue, ',');) flags.queues.push_back(queue);
    }
    if (flags.count == 0 || flags.port == 0)
        throw std::runtime_error("say --fill, --race, --move or --take N, and --port PORT");
    return flags;
}

double processor_seconds(clockid_t clock) {
    timespec time{};
    if (clock_gettime(clock, &time) != 0) throw std::runtime_error("a process is gone");
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) * 1e-9;
}

std::string message(std::uint64_t number, std::uint64_t size) {
    std::array<char, kDigits + 1> digits{};
    std::snprintf(digits.data(), digits.size(), "%012llu", static_cast<unsigned long long>(number));
    return digits.data() + std::string(size - kDigits, 'x');
}

// ---- fill, move, take --------------------------------------------------------------------------

void say(std::uint64_t count, Clock::time_point began) {
    const std::chrono::duration<double> took = Clock::now() - began;
    std::printf("{\"messages\":%llu,\"seconds\":%.6f}\n", static_cast<unsigned long long>(count), took.count());
}

/// Which of so many publishes are confirmed.
class Confirmed {
public:
    explicit Confirmed(std::uint64_t most) : known_(most + 1) {}
    void take(const Heard& heard) {
        for (std::uint64_t tag = heard.multiple ? first_ : heard.tag; tag <= heard.tag; ++tag) {
            count_ += known_.at(tag) ? 0U : 1U;
            known_[tag] = true;
        }
        while (first_ < known_.size() && known_[first_]) ++first_;
    }
    [[nodiscard]] std::uint64_t count() const { return count_; }

private:
    std::vector<bool> known_;  // by number
    std::uint64_t first_ = 1;  // that is not confirmed
    std::uint64_t count_ = 0;
};

void fill(const Flags& flags) {
    AmqpLink link(flags.port);
    link.confirm_publishes();
    const Clock::time_point began = Clock::now();
    Confirmed confirmed(flags.count);
    for (std::uint64_t number = 0; confirmed.count() < flags.count;) {
        for (; number < flags.count && number - confirmed.count() < kMostInAir; ++number) {
            const std::string body = message(number, flags.size);
            link.publish(flags.exchange, flags.key, body.substr(0, kDigits), body);
        }
        link.wait();
        while (const auto heard = link.next()) confirmed.take(*heard);
    }
    say(flags.count, began);
}

/// From the queue into the one of the key's name. Each message that comes is published once, so
/// both have the same numbers: what is confirmed is acknowledged as it was confirmed.
void move(AmqpLink& link, const std::string& key, const Heard& heard) {
    if (heard.kind == Heard::Kind::delivered)
        link.publish("", key, heard.id, heard.body);
    else
        link.acknowledge(heard.tag, heard.multiple);
}

void move_all(const Flags& flags) {
    AmqpLink link(flags.port);
    link.confirm_publishes();
    const Clock::time_point began = Clock::now();
    link.consume(flags.queues.at(0), flags.prefetch);
    Confirmed confirmed(flags.count);
    for (;; link.wait()) {
        while (const auto heard = link.next()) {
            move(link, flags.key, *heard);
            if (heard->kind == Heard::Kind::confirmed) confirmed.take(*heard);
        }
        if (confirmed.count() == flags.count) return say(flags.count, began);
    }
}

void take(const Flags& flags) {
    AmqpLink link(flags.port);
    const Clock::time_point began = Clock::now();
    link.consume(flags.queues.at(0), 0);
    std::vector<bool> seen(flags.count);
    for (std::uint64_t got = 0; got < flags.count; link.wait()) {
        while (const auto heard = link.next()) {
            const std::uint64_t number = std::strtoull(heard->body.substr(0, kDigits).c_str(), nullptr, 10);
            if (number >= flags.count || heard->body != message(number, flags.size))
                throw std::runtime_error("an outcome that was no message: " + heard->body);
            if (seen[number]) throw std::runtime_error("an outcome came twice: " + heard->body);
            seen[number] = true;
            if (++got == flags.count) return say(got, began);
        }
    }
}

// ---- the race ----------------------------------------------------------------------------------

/// What is said and heard before the race begins: all wait until the last has connected.
class Gate {
public:
    Gate() {
        if (pipe(ready_.data()) != 0 || pipe(open_.data()) != 0) throw std::runtime_error("no pipe");
    }
    void wait() const {
        char byte = 'r';
        close(open_[1]);
        if (write(ready_[1], &byte, 1) != 1 || read(open_[0], &byte, 1) != 0) std::_Exit(1);
    }
    void open(std::size_t children) const {
        close(ready_[1]);
        char byte = 0;
        for (std::size_t i = 0; i < children; ++i) {
            if (read(ready_[0], &byte, 1) != 1) throw std::runtime_error("a consumer has not connected");
        }
        close(open_[1]);
    }

private:
    std::array<int, 2> ready_{}, open_{};
};

[[noreturn]] void be_consumer(const Flags& flags, const std::string& queue, const Gate& gate) {
    try {
        AmqpLink link(flags.port);
        link.confirm_publishes();
        gate.wait();
        link.consume(queue, flags.prefetch);
        for (;;) {
            while (const auto heard = link.next()) move(link, flags.results, *heard);
            link.wait();
        }
    } catch (const std::exception& error) {
        std::fprintf(stderr, "curfew-plain-race: a consumer: %s\n", error.what());
    }
    std::_Exit(1);
}

class Collector {
public:
    explicit Collector(const Flags& flags) : flags_(flags), link_(flags.port) { link_.confirm_publishes(); }

    /// Until each message has its confirmed outcome, and each result is acknowledged.
    void run() {
        link_.consume(flags_.results, flags_.prefetch);
        for (;; link_.wait()) {
            while (const auto heard = link_.next()) {
                if (heard->kind == Heard::Kind::delivered)
                    came(*heard);
                else
                    confirmed(*heard);
            }
            acknowledge();
            if (outcomes_ == flags_.count && decided_at_ == Clock::time_point()) decided_at_ = Clock::now();
            if (outcomes_ == flags_.count && left_.empty()) return;
        }
    }

    /// The last outcome was confirmed.
    [[nodiscard]] Clock::time_point decided_at() const { return decided_at_; }

private:
    void came(const Heard& result) {
        const auto [at, is_first] = left_.try_emplace(result.id, flags_.queues.size());
        if (--at->second == 0) left_.erase(at);
        results_.push_back(!is_first);
        if (!is_first) return;
        link_.publish("", flags_.key, result.id, result.body);
        in_air_.push_back(first_ + results_.size() - 1);
    }
    void confirmed(const Heard& confirm) {
        const auto end = [this](std::uint64_t number) {
            std::uint64_t& tag = in_air_.at(number - first_in_air_);
            if (tag == 0) return;
            results_.at(tag - first_) = true;
            tag = 0;
            ++outcomes_;
        };
        for (std::uint64_t i = confirm.multiple ? first_in_air_ : confirm.tag; i <= confirm.tag; ++i) end(i);
        for (; !in_air_.empty() && in_air_.front() == 0; in_air_.pop_front()) ++first_in_air_;
    }
    void acknowledge() {
        const std::uint64_t before = first_;
        for (; !results_.empty() && results_.front(); results_.pop_front()) ++first_;
        if (first_ > before) link_.acknowledge(first_ - 1, true);
    }

    const Flags& flags_;
    AmqpLink link_;
    std::unordered_map<std::string, std::size_t> left_;  // results of an id that are to come
    std::deque<bool> results_;                           // that are not acknowledged: may they be?
    std::uint64_t first_ = 1;                            // the tag of the first of them
    std::deque<std::uint64_t> in_air_;                   // their results' tags; 0: confirmed
    std::uint64_t first_in_air_ = 1;                     // the number of the first of them
    std::uint64_t outcomes_ = 0;                         // confirmed
    Clock::time_point decided_at_{};
};

void race(const Flags& flags) {
    const Gate gate;
    Children children({});
    std::vector<clockid_t> clocks;
    for (const std::string& queue : flags.queues) {
        const pid_t child = children.start([&] { be_consumer(flags, queue, gate); });
        clockid_t& clock = clocks.emplace_back();
        if (clock_getcpuclockid(child, &clock) != 0) throw std::runtime_error("a consumer is gone");
    }
    Collector collector(flags);
    gate.open(flags.queues.size());
    const Clock::time_point began = Clock::now();
    collector.run();
    const std::chrono::duration<double> took = Clock::now() - began, decided = collector.decided_at() - began;
    double workers = 0;
    for (const clockid_t clock : clocks) workers += processor_seconds(clock);
    std::printf(
        "{\"messages\":%llu,\"seconds\":%.6f,\"decided_s\":%.6f,\"collector_cpu_s\":%.6f,\"workers_cpu_s\":%.6f}\n",
        static_cast<unsigned long long>(flags.count), took.count(), decided.count(),
        processor_seconds(CLOCK_PROCESS_CPUTIME_ID), workers);
}

void run(const Flags& flags) {
    if (flags.mode == "--fill") return fill(flags);
    if (flags.queues.empty()) throw std::runtime_error("say --queues");
    if (flags.mode == "--move") return move_all(flags);
    flags.mode == "--race" ? race(flags) : take(flags);
}

}  // namespace
}  // namespace curfew::bench

int main(int argc, char** argv) {
    try {
        curfew::bench::run(curfew::bench::parse(argc, argv));
        return 0;
    } catch (const std::exception& error) {
        std::fprintf(stderr, "curfew-plain-race: %s\n", error.what());
        return 1;
    }
}
