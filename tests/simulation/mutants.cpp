// curfew-mutants: makes one deliberate mistake after the other in the cores and asks the simulation
// to find it. A simulation that finds nothing in them would prove nothing about the cores as they
// are. Exit 0 if each was found, 1 if not.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <utility>

#include "common/words/mutant.h"
#include "tests/simulation/scenario.h"
#include "tests/simulation/world.h"

namespace {

using curfew::Mutant;

constexpr std::pair<Mutant, const char*> kMutants[] = {
    {Mutant::second_win, "second_win"},
    {Mutant::verdict_after_win, "verdict_after_win"},
    {Mutant::report_judged_twice, "report_judged_twice"},
    {Mutant::settled_before_sink, "settled_before_sink"},
    {Mutant::event_dropped, "event_dropped"},
    {Mutant::batch_out_of_order, "batch_out_of_order"},
    {Mutant::hedge_timer_missed, "hedge_timer_missed"},
    {Mutant::hedge_not_kept, "hedge_not_kept"},
    {Mutant::idle_hedge_missed, "idle_hedge_missed"},
    {Mutant::idle_hedge_first, "idle_hedge_first"},
    {Mutant::deadline_forgotten, "deadline_forgotten"},
    {Mutant::credit_given_early, "credit_given_early"},
    {Mutant::lost_without_echo, "lost_without_echo"},
    {Mutant::cancel_forgotten, "cancel_forgotten"},
    {Mutant::old_session_accepted, "old_session_accepted"},
    {Mutant::lease_forgotten, "lease_forgotten"},
    {Mutant::slot_freed_early, "slot_freed_early"},
    {Mutant::report_not_kept, "report_not_kept"},
    {Mutant::loser_at_large, "loser_at_large"},
    {Mutant::early_recall_ignored, "early_recall_ignored"},
    {Mutant::returned_started, "returned_started"},
    {Mutant::slot_to_intake, "slot_to_intake"},
    {Mutant::returned_not_replaced, "returned_not_replaced"},
    {Mutant::standing_not_seen, "standing_not_seen"},
    {Mutant::reopened_and_started, "reopened_and_started"},
    {Mutant::standstill_forgotten, "standstill_forgotten"},
    {Mutant::innocent_blamed, "innocent_blamed"},
    {Mutant::exchange_forgotten, "exchange_forgotten"},
    {Mutant::sink_queue_forgotten, "sink_queue_forgotten"},
    {Mutant::hearsay_ignored, "hearsay_ignored"},
    {Mutant::memory_not_truth, "memory_not_truth"},
    {Mutant::holes_skipped, "holes_skipped"},
    {Mutant::journal_ahead, "journal_ahead"},
    {Mutant::refusal_counted, "refusal_counted"},
    {Mutant::envelope_counted, "envelope_counted"},
    {Mutant::pause_ignored, "pause_ignored"},
};

}  // namespace

int main(int argc, char** argv) {
    CLI::App app("Makes deliberate mistakes in the cores and says at which seed the simulation finds each.");
    std::uint64_t seeds = 2000;
    std::string only;
    app.add_option("--seeds", seeds, "Most seeds to try for each")->check(CLI::PositiveNumber);
    app.add_option("--only", only, "One mistake, by its name");
    CLI11_PARSE(app, argc, argv);

    int missed = 0;
    for (const auto& [mutant, name] : kMutants) {
        if (!only.empty() && only != name) continue;
        curfew::active_mutant = mutant;
        curfew::simulation::Verdict verdict;
        verdict.passed = true;
        std::uint64_t seed = 0;
        while (verdict.passed && seed < seeds) {
            curfew::simulation::World world(curfew::simulation::scenario_of(++seed), false);
            verdict = world.run(5'000'000);
        }
        missed += verdict.passed;
        std::printf("%-21s %s %llu: %s\n", name, verdict.passed ? "NOT FOUND by seed" : "found at seed",
                    static_cast<unsigned long long>(seed), verdict.problem.c_str());
        std::fflush(stdout);
    }
    return missed == 0 ? 0 : 1;
}
