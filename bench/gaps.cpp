// What the machine takes away by itself: a thread on each processor asks for the time without
// pause, and notes where two answers lie apart, since somebody else had the processor (on a virtual
// machine: another machine). With nothing beside it, no pipeline on this machine is quicker than
// that: what is under way in a gap is late by what is left of it.
//
//     curfew-gaps [--seconds S]
//
// Says {"over_1ms_per_s":A,"over_2ms_per_s":B,"longest_ms":C,"taken_percent":D} on stdout: how
// many, of all processors together; D is the share of the processors' time that all gaps over 0.05
// ms have.
#include <pthread.h>
#include <sched.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string_view>
#include <thread>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;
using Millis = std::chrono::duration<double, std::milli>;
constexpr Millis kShortest{0.05};

struct Gaps {
    int over_1ms = 0, over_2ms = 0;
    Millis longest{0}, taken{0};
};

void watch(std::size_t processor, Clock::time_point until, Gaps& gaps) {
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(processor, &set);
    pthread_setaffinity_np(pthread_self(), sizeof set, &set);
    for (Clock::time_point last = Clock::now(); last < until;) {
        const Clock::time_point now = Clock::now();
        const Millis gap = now - last;
        last = now;
        if (gap < kShortest) continue;
        gaps.taken += gap;
        gaps.longest = std::max(gaps.longest, gap);
        if (gap >= Millis(1)) ++gaps.over_1ms;
        if (gap >= Millis(2)) ++gaps.over_2ms;
    }
}

/// Those that we may use.
std::vector<std::size_t> processors() {
    cpu_set_t set;
    CPU_ZERO(&set);
    std::vector<std::size_t> found;
    if (sched_getaffinity(0, sizeof set, &set) != 0) return {0};
    for (std::size_t processor = 0; processor < CPU_SETSIZE; ++processor)
        if (CPU_ISSET(processor, &set)) found.push_back(processor);
    return found;
}

}  // namespace

int main(int argc, char** argv) {
    double seconds = 5;
    for (int i = 1; i + 1 < argc; i += 2)
        if (std::string_view(argv[i]) == "--seconds") seconds = std::max(0.1, std::atof(argv[i + 1]));
    const std::vector<std::size_t> all = processors();
    std::vector<Gaps> gaps(all.size());
    const auto until = Clock::now() + std::chrono::duration_cast<Clock::duration>(Millis(seconds * 1000));
    {
        std::vector<std::jthread> threads;
        for (std::size_t at = 0; at < all.size(); ++at)
            threads.emplace_back([&, at] { watch(all[at], until, gaps[at]); });
    }
    Gaps sum;
    for (const Gaps& one : gaps) {
        sum.over_1ms += one.over_1ms;
        sum.over_2ms += one.over_2ms;
        sum.taken += one.taken;
        sum.longest = std::max(sum.longest, one.longest);
    }
    std::printf("{\"over_1ms_per_s\":%.2f,\"over_2ms_per_s\":%.2f,\"longest_ms\":%.2f,\"taken_percent\":%.3f}\n",
                sum.over_1ms / seconds, sum.over_2ms / seconds, sum.longest.count(),
                100 * sum.taken.count() / (1000 * seconds * static_cast<double>(all.size())));
    return 0;
}
