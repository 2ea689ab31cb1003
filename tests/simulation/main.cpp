// curfew-simulation: runs seeds, says which failed and how to replay them. Exit 0 if all passed, 1
// if not.
#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdio>

#include "tests/simulation/scenario.h"
#include "tests/simulation/world.h"

int main(int argc, char** argv) {
    CLI::App app(
        "Runs the real cores of a broker, workers and a collector under a virtual clock, with faults, from seeds.");
    std::uint64_t seeds = 100, first = 1, steps = 5'000'000;
    bool trace = false, large = false;
    app.add_option("--seeds", seeds, "How many seeds")->check(CLI::Range(std::uint64_t{1}, std::uint64_t{1} << 40));
    app.add_option("--first", first, "The first seed")->check(CLI::Range(std::uint64_t{0}, std::uint64_t{1} << 60));
    app.add_option("--steps", steps, "Most events for one seed")
        ->check(CLI::Range(std::uint64_t{1}, std::uint64_t{1} << 40));
    app.add_flag("--trace", trace, "Tell the story of each seed, line by line");
    app.add_flag("--large", large, "1,000 workers and 100,000 tasks in flight");
    CLI11_PARSE(app, argc, argv);

    std::uint64_t passed = 0, failed = 0, events = 0;
    const auto began = std::chrono::steady_clock::now();
    for (std::uint64_t seed = first; seed < first + seeds; ++seed) {
        const auto scenario =
            large ? curfew::simulation::large_scenario_of(seed) : curfew::simulation::scenario_of(seed);
        curfew::simulation::World world(scenario, trace);
        const curfew::simulation::Verdict verdict = world.run(steps);
        events += verdict.events;
        if (verdict.passed) {
            ++passed;
            continue;
        }
        ++failed;
        std::printf("seed %llu: %s\n    replay: curfew-simulation --seeds 1 --first %llu --trace%s\n",
                    static_cast<unsigned long long>(seed), verdict.problem.c_str(),
                    static_cast<unsigned long long>(seed), large ? " --large" : "");
        std::fflush(stdout);
    }
    const double took = std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
    std::printf("%llu events, %.0f/s\n", static_cast<unsigned long long>(events), static_cast<double>(events) / took);
    std::printf("%llu passed, %llu failed\n", static_cast<unsigned long long>(passed),
                static_cast<unsigned long long>(failed));
    return failed == 0 ? 0 : 1;
}
