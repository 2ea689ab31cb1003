// The roster chooses the worker for an attempt: never one that has an attempt of the task, then by what speaks against
// it.
#include "broker/roster.h"

#include <gtest/gtest.h>

#include <map>

#include "tests/support/frames.h"

namespace curfew {
namespace {

using support::kStart;

class RosterTest : public testing::Test {
protected:
    WorkerSession& add(std::string_view name, std::string_view pool = "pool", std::uint32_t credit = 4) {
        wire::Hello hello;
        hello.worker = 1;
        hello.name = name;
        hello.pool = pool;
        hello.slots = 2;
        hello.credit = credit;
        WorkerSession& worker = roster.admit(kStart, hello);
        worker.state = SessionState::ready;
        return worker;
    }
    /// As the dispatcher does when it starts an attempt there.
    static void start(Task& task, WorkerSession& worker) { task.alive.push_back({worker.session, ++worker.in_flight}); }

    Roster roster;
    Task task;
};

TEST_F(RosterTest, NobodyIsChosenWhenNobodyIsThere) {
    EXPECT_EQ(roster.choose(task), nullptr);
    EXPECT_FALSE(roster.has_credit());
    EXPECT_EQ(roster.ready(), 0U);
}

TEST_F(RosterTest, SessionsAreNumberedFromOneAndNeverAgain) {
    EXPECT_EQ(add("a").session, 1U);
    EXPECT_EQ(add("b").session, 2U);
    roster.remove(2);
    EXPECT_EQ(add("c").session, 3U);
    EXPECT_EQ(roster.find(2), nullptr);
    roster.remove(77);
    EXPECT_EQ(roster.sessions().size(), 2U);
}

TEST_F(RosterTest, OnlyReadyWorkersWithCreditAndAnOpenSocketTakeAttempts) {
    WorkerSession& worker = add("a", "p", 1);
    EXPECT_TRUE(worker.can_take());
    for (const SessionState state :
         {SessionState::admitting, SessionState::admitted, SessionState::leaving, SessionState::lingering}) {
        worker.state = state;
        EXPECT_FALSE(worker.can_take()) << name_of(state);
    }
    worker.state = SessionState::ready;
    worker.tasks_blocked = true;
    EXPECT_EQ(roster.choose(task), nullptr);
    worker.tasks_blocked = false;
    worker.in_flight = 1;
    EXPECT_EQ(roster.choose(task), nullptr) << "credit is never exceeded";
    EXPECT_FALSE(roster.has_credit());
    worker.in_flight = 0;
    EXPECT_EQ(roster.choose(task), &worker);
}

TEST_F(RosterTest, AttemptsOfATaskGoToDifferentWorkersAlways) {
    WorkerSession& only = add("a", "p", 100);
    start(task, only);
    EXPECT_EQ(roster.choose(task), nullptr);
}

TEST_F(RosterTest, APoolThatIsNotInUseComesBeforeLoad) {
    WorkerSession& first = add("a", "cats");
    add("b", "cats");
    WorkerSession& busy_dog = add("c", "dogs");
    start(task, first);
    busy_dog.in_flight = 3;
    EXPECT_EQ(roster.choose(task), &busy_dog);
}

TEST_F(RosterTest, WhereAnAttemptHasFailedComesLast) {
    add("a", "cats");
    WorkerSession& other = add("b", "dogs");
    other.in_flight = 3;
    task.make_past().history.push_back({1, "a", End::failed, "no"});
    EXPECT_EQ(roster.choose(task), &other);
    other.in_flight = 4;
    EXPECT_EQ(roster.choose(task)->name, "a") << "better there than nowhere";
}

TEST_F(RosterTest, TheLeastLoadedForItsSizeComesFirst) {
    WorkerSession& small = add("small", "p", 4);
    WorkerSession& large = add("large", "p", 100);
    small.in_flight = 2;   // half
    large.in_flight = 30;  // a third
    EXPECT_EQ(roster.choose(task), &large);
    large.in_flight = 60;
    EXPECT_EQ(roster.choose(task), &small);
}

TEST_F(RosterTest, EqualsTakeTurns) {
    for (const char* name : {"a", "b", "c"}) add(name);
    std::map<std::string, int> chosen;
    for (int i = 0; i < 30; ++i) ++chosen[roster.choose(task)->name];
    EXPECT_EQ(chosen, (std::map<std::string, int>{{"a", 10}, {"b", 10}, {"c", 10}}));
}

TEST_F(RosterTest, TurnsGoOnWhenAWorkerIsRemoved) {
    for (const char* name : {"a", "b", "c"}) add(name);
    (void)roster.choose(task);
    (void)roster.choose(task);
    (void)roster.choose(task);
    roster.remove(3);
    roster.remove(2);
    EXPECT_EQ(roster.choose(task)->name, "a");
    roster.remove(1);
    EXPECT_EQ(roster.choose(task), nullptr);
}

TEST_F(RosterTest, ANameMeansItsNewestSessionThatIsNotLeaving) {
    WorkerSession& old = add("a");
    EXPECT_EQ(roster.by_name("a"), &old);
    WorkerSession& young = add("a");
    EXPECT_EQ(roster.by_name("a"), &young);
    young.state = SessionState::leaving;
    EXPECT_EQ(roster.by_name("a"), &old);
    old.state = SessionState::lingering;
    EXPECT_EQ(roster.by_name("a"), nullptr);
    EXPECT_EQ(roster.by_name("b"), nullptr);
}

TEST_F(RosterTest, AHelloThatClaimsNoSlotsAndNoCreditGetsOneOfEach) {
    wire::Hello hello;
    const WorkerSession& worker = roster.admit(kStart, hello);
    EXPECT_EQ(worker.slots, 1U);
    EXPECT_EQ(worker.credit, 1U);
    EXPECT_EQ(worker.state, SessionState::admitting);
}

}  // namespace
}  // namespace curfew
