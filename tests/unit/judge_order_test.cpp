// --keep-order behind a long history: what is settled is jumped over, not walked through.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/time.h>
#include <unistd.h>

#include "collector/judge.h"
#include "tests/support/frames.h"

namespace curfew {
namespace {

using support::frame_of;
using support::kStart;

/// Ends this process by SIGALRM soon: for death tests of what does not come back.
void give_up_soon() {
    signal(SIGALRM, SIG_DFL);
    const itimerval soon{{0, 0}, {0, 300'000}};
    setitimer(ITIMER_REAL, &soon, nullptr);
}

TEST(Judge, KeepingTheOrderBehindABillionSettledTasksTakesNoTime) {
    Judge judge({.incarnation = 5, .keep_order = true});
    const wire::Sync sync{1, {{1, 1'000'000'000}}, {}, {{1, "a", "p", {}}}};
    judge.receive(kStart, frame_of({wire::Kind::to_collector, 1, 5, 0, 0}, sync));
    wire::Report report;
    report.number = 1;
    report.seq = 1'000'000'001;
    EXPECT_EXIT(
        {
            give_up_soon();
            judge.receive(kStart, frame_of({wire::Kind::reports, 1, 1, 0, 0}, report));
            _exit(judge.next_outcome() ? 0 : 1);
        },
        testing::ExitedWithCode(0), "");
}

}  // namespace
}  // namespace curfew
