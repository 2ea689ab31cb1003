// The roster chooses the worker for an attempt: never one that has an attempt of the task, then by
// what speaks against it.
#include "broker/roster.h"

#include <gtest/gtest.h>

#include <map>
#include <random>
#include <set>
#include <tuple>

#include "tests/support/frames.h"

namespace curfew {
namespace {

using support::kStart;

class RosterTest : public testing::Test {
protected:
    WorkerSession& add(std::string_view name, std::string_view pool = "pool", std::uint32_t credit = 4,
                       std::uint32_t together = 0) {
        wire::Hello hello;
        hello.worker = 1;
        hello.name = name;
        hello.pool = pool;
        hello.slots = 2;
        hello.credit = credit;
        hello.together = together;
        WorkerSession& worker = roster.admit(kStart, hello);
        worker.state = SessionState::ready;
        roster.changed(worker);
        return worker;
    }
    /// As the dispatcher does when it starts an attempt there.
    static void start(Task& task, const WorkerSession& worker) { task.alive.push_back({worker.session, 1}); }
    void load(WorkerSession& worker, std::uint32_t in_flight) {
        worker.in_flight = in_flight;
        roster.changed(worker);
    }

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
    roster.changed(worker);
    EXPECT_EQ(roster.choose(task), nullptr);
    worker.tasks_blocked = false;
    roster.changed(worker);
    load(worker, 1);
    EXPECT_EQ(roster.choose(task), nullptr) << "credit is never exceeded";
    EXPECT_FALSE(roster.has_credit());
    load(worker, 0);
    EXPECT_EQ(roster.choose(task), &worker);
    EXPECT_EQ(worker.in_flight, 1U) << "its credit is taken";
    roster.give_back(worker);
    EXPECT_EQ(worker.in_flight, 0U);
}

TEST_F(RosterTest, AttemptsOfATaskGoToDifferentWorkersAlways) {
    WorkerSession& only = add("a", "p", 100);
    start(task, only);
    EXPECT_EQ(roster.choose(task), nullptr);
}

TEST_F(RosterTest, SeveralAttemptsOfATaskGoTogetherWhereNoOtherWorkerTakesThem) {
    WorkerSession& many = add("many", "pool", 4, 3);
    WorkerSession& one = add("one", "pool", 4);
    EXPECT_TRUE(roster.any_together());
    for (WorkerSession* expected : {&many, &one, &many, &many}) {
        WorkerSession* chosen = roster.choose(task);
        ASSERT_EQ(chosen, expected);
        start(task, *chosen);
    }
    EXPECT_EQ(roster.choose(task), nullptr) << "three are there together, and one takes one";
    roster.remove(many.session);
    EXPECT_FALSE(roster.any_together());
}

TEST_F(RosterTest, OneMoreTogetherGoesBeforeAWorkerThatLetsItWait) {
    WorkerSession& many = add("many", "pool", 100, 100);
    WorkerSession& busy = add("busy", "pool", 4);
    load(busy, 2);  // of two slots
    start(task, many);
    EXPECT_EQ(roster.choose(task), &many);
    load(many, 2);
    EXPECT_EQ(roster.choose(task), &busy) << "both let it wait: another one then";
}

TEST_F(RosterTest, TogetherGoesEvenly) {
    WorkerSession& a = add("a", "a", 100, 100);
    WorkerSession& b = add("b", "b", 100, 100);
    WorkerSession* chosen = roster.choose(task);
    std::map<WorkerSession*, int> counts;
    for (int i = 0; i < 100; ++i, chosen = roster.choose_another(task, *chosen)) ++counts[chosen];
    EXPECT_EQ(counts[&a] + counts[&b], 100);
    EXPECT_NEAR(counts[&a], 50, 1);
}

TEST_F(RosterTest, APoolThatIsNotInUseComesBeforeLoad) {
    WorkerSession& first = add("a", "cats");
    add("b", "cats");
    WorkerSession& busy_dog = add("c", "dogs");
    start(task, first);
    load(busy_dog, 1);
    EXPECT_EQ(roster.choose(task), &busy_dog);
}

TEST_F(RosterTest, AFreeSlotComesBeforePoolsAndLoad) {
    WorkerSession& free = add("a", "cats");
    WorkerSession& busy = add("b", "dogs", 100);
    start(task, add("c", "cats"));
    load(free, 1);
    load(busy, 2);
    EXPECT_EQ(roster.choose(task), &free) << "one of two slots is free; where two are busy it would wait";
    EXPECT_EQ(roster.choose(task), &busy) << "then there is none";
}

TEST_F(RosterTest, WhatCameBackTakesAFreeSlotOrNothing) {
    WorkerSession& only = add("a");
    task.make_past().returned.push_back({1, false});
    load(only, 2);
    EXPECT_EQ(roster.choose(task), nullptr) << "its slots are busy, though it has credit";
    load(only, 1);
    EXPECT_EQ(roster.choose(task), &only);
}

TEST_F(RosterTest, ASlotThatARecallHoldsIsNotForOthers) {
    WorkerSession& only = add("a");
    only.reserved = 2;
    roster.changed(only);
    EXPECT_FALSE(roster.has_credit());
    only.reserved = 1;
    roster.changed(only);
    EXPECT_EQ(roster.choose(task), &only);
    EXPECT_FALSE(roster.has_credit()) << "nothing is sent ahead there meanwhile";
}

TEST_F(RosterTest, NothingIsSentAheadToAWorkerThatStands) {
    WorkerSession& only = add("a", "p", 100);
    load(only, 2);
    EXPECT_TRUE(roster.has_credit());
    only.standing = true;
    roster.changed(only);
    EXPECT_FALSE(roster.has_credit());
}

TEST_F(RosterTest, PoolsThatNobodyIsInAreForgotten) {
    for (int i = 0; i < 1000; ++i) {
        const Session session = add("w", "pool" + std::to_string(i)).session;
        roster.remove(session);
    }
    EXPECT_LE(roster.pools(), 1U);
}

TEST_F(RosterTest, WhereAnAttemptHasFailedNoneStartsWhileThereIsAnother) {
    WorkerSession& failed = add("a", "cats");
    WorkerSession& other = add("b", "dogs");
    load(other, 3);
    task.make_past().history.push_back({1, "a", End::failed, "no"});
    EXPECT_EQ(roster.choose(task), &other) << "though it has to wait there";
    EXPECT_EQ(roster.choose(task), nullptr) << "all its credit is taken, and it will be free again";
    EXPECT_TRUE(roster.shuns(task, failed));
    other.slots_in_service = 0;
    roster.changed(other);
    EXPECT_EQ(roster.choose(task), &failed) << "better there than nowhere";
    other.slots_in_service = 2;
    start(task, other);
    EXPECT_FALSE(roster.shuns(task, failed)) << "the other one has an attempt of it already";
}

TEST_F(RosterTest, TheLeastLoadedForItsSizeComesFirst) {
    WorkerSession& small = add("small", "p", 4);
    WorkerSession& large = add("large", "p", 100);
    load(small, 2);   // half
    load(large, 30);  // a third
    EXPECT_EQ(roster.choose(task), &large);
    load(large, 60);
    EXPECT_EQ(roster.choose(task), &small);
}

TEST_F(RosterTest, EqualsTakeTurns) {
    for (const char* name : {"a", "b", "c"}) add(name, "pool", 1000);
    std::map<std::string, int> chosen;
    for (int i = 0; i < 30; ++i) {
        ++chosen[roster.choose(task)->name];
        roster.next_turn();
    }
    EXPECT_EQ(chosen, (std::map<std::string, int>{{"a", 10}, {"b", 10}, {"c", 10}}));
}

TEST_F(RosterTest, WithinATurnTheSameIsChosenUntilItIsAStepAhead) {
    for (const char* name : {"a", "b"}) add(name, "pool", 1600);
    std::vector<std::string> chosen;
    for (int i = 0; i < 200; ++i) chosen.push_back(roster.choose(task)->name);
    EXPECT_EQ(std::count(chosen.begin(), chosen.begin() + 100, "a"), 100);
    EXPECT_EQ(std::count(chosen.begin() + 100, chosen.end(), "b"), 100);
}

TEST_F(RosterTest, ThoseThatAreChosenTogetherAreAStepAheadTogetherHoweverMuchTheyHad) {
    std::uint32_t had = 0;
    for (const char* name : {"a", "b", "c", "d"}) load(add(name, "pool", 1600), had += 17);
    std::set<std::set<Session>> pairs;
    for (int i = 0; i < 400; ++i) {
        WorkerSession* first = roster.choose(task);
        pairs.insert({first->session, roster.choose_another(task, *first)->session});
    }
    EXPECT_EQ(pairs.size(), 2U) << "and the other two have the rest";
}

TEST_F(RosterTest, WithSmallCreditsNoneIsAheadOfTheOthers) {
    for (const char* name : {"a", "b"}) add(name, "pool", 100);
    for (int i = 0; i < 200; ++i) {
        (void)roster.choose(task);
        const auto a = roster.by_name("a")->in_flight, b = roster.by_name("b")->in_flight;
        ASSERT_LE(std::max(a, b) - std::min(a, b), 1U);
    }
}

TEST_F(RosterTest, AWorkerThatWasChosenMayLeaveWithinTheTurn) {
    const Session session = add("a").session;
    add("b");
    EXPECT_EQ(roster.choose(task)->session, session);
    roster.remove(session);
    roster.next_turn();
    EXPECT_EQ(roster.choose(task)->name, "b");
}

TEST_F(RosterTest, ManyWorkersAreChosenAsIfAllWereLookedAt) {
    std::mt19937_64 random(5);
    std::vector<WorkerSession*> all;
    for (int i = 0; i < 40; ++i) {
        all.push_back(
            &add("w" + std::to_string(i), i % 3 == 0 ? "cats" : "dogs", 1 + static_cast<std::uint32_t>(random() % 9)));
    }
    const auto load_of = [](const WorkerSession& worker) {
        return static_cast<double>(worker.in_flight) / worker.credit;
    };
    for (int round = 0; round < 3000; ++round) {
        WorkerSession& other = *all[random() % all.size()];
        load(other, static_cast<std::uint32_t>(random() % (other.credit + 1)));
        Task one;
        WorkerSession* worker = nullptr;
        for (int attempt = 0; attempt < 5; ++attempt) {
            std::set<std::string> used;
            for (const AttemptId id : one.alive) used.insert(roster.find(id.session)->pool);
            using Rank = std::tuple<bool, bool, double>;
            const auto rank = [&](const WorkerSession& w) {
                return Rank(w.in_flight >= w.slots, used.contains(w.pool), load_of(w));
            };
            std::map<const WorkerSession*, Rank> ranks;
            for (const WorkerSession* candidate : all) {
                const bool alive =
                    std::ranges::find(one.alive, candidate->session, &AttemptId::session) != one.alive.end();
                if (!alive && candidate->can_take()) ranks[candidate] = rank(*candidate);
            }
            worker = attempt == 0 ? roster.choose(one) : roster.choose_another(one, *worker);
            ASSERT_EQ(worker == nullptr, ranks.empty());
            if (worker == nullptr) break;
            ASSERT_TRUE(ranks.contains(worker));
            for (const auto& [other_worker, its] : ranks) ASSERT_LE(ranks[worker], its) << other_worker->name;
            start(one, *worker);
        }
    }
}

/// What the roster promises of a task with a past, by looking at each worker.
class PlainChoice {
public:
    PlainChoice(const Roster& roster, const Task& task) : roster_(roster), task_(task) {}

    [[nodiscard]] std::set<const WorkerSession*> best() const {
        std::set<const WorkerSession*> best;
        for (const auto& [session, worker] : roster_.sessions()) {
            if (!may_run_at(*worker)) continue;
            if (!best.empty() && rank(*worker) < rank(**best.begin())) best.clear();
            if (best.empty() || rank(*worker) == rank(**best.begin())) best.insert(worker.get());
        }
        return best;
    }

private:
    using Rank = std::tuple<bool, bool, bool, std::uint64_t>;

    [[nodiscard]] bool has_one(const WorkerSession& worker) const {
        return std::ranges::find(task_.alive, worker.session, &AttemptId::session) != task_.alive.end();
    }
    [[nodiscard]] bool failed_at(const WorkerSession& worker) const {
        return std::ranges::find(task_.past->history, worker.name, &PastAttemptEntry::worker) !=
               task_.past->history.end();
    }
    [[nodiscard]] bool there_is_another() const {
        return std::ranges::any_of(roster_.sessions(), [&](const auto& entry) {
            const WorkerSession& worker = *entry.second;
            return worker.slots_in_service > 0 && !worker.standing && !has_one(worker) && !failed_at(worker);
        });
    }
    [[nodiscard]] bool may_run_at(const WorkerSession& worker) const {
        if (!worker.can_take() || has_one(worker)) return false;
        if (task_.came_back() && !worker.has_free_slot() && !worker.moves()) return false;
        return !failed_at(worker) || !there_is_another();
    }
    [[nodiscard]] Rank rank(const WorkerSession& worker) const {
        const bool pool_in_use = std::ranges::any_of(
            task_.alive, [&](AttemptId id) { return roster_.find(id.session)->pool == worker.pool; });
        return {worker.busy, failed_at(worker), pool_in_use, worker.load};
    }

    const Roster& roster_;
    const Task& task_;
};

TEST_F(RosterTest, ForATaskWithAPastItIsAsIfAllWereLookedAt) {
    std::mt19937_64 random(7);
    const auto below = [&](std::uint32_t end) { return static_cast<std::uint32_t>(random() % end); };
    std::vector<WorkerSession*> all;
    for (int i = 0; i < 12; ++i)
        all.push_back(&add("w" + std::to_string(i), i % 3 == 0 ? "cats" : "dogs", 1 + below(9)));
    std::size_t chosen = 0, in_vain = 0, where_it_failed = 0;
    for (int round = 0; round < 20'000; ++round) {
        WorkerSession& other = *all[below(12)];
        other.standing = below(4) == 0;
        other.slots_in_service = below(4) == 0 ? 0 : 2;
        other.reserved = below(6) == 0 ? 1 : 0;
        other.pace = std::chrono::milliseconds(below(2) == 0 ? 1 : 100);
        load(other, below(other.credit + 1));
        Task one;
        TaskPast& past = one.make_past();
        if (below(2) == 0) past.returned.push_back({1, false});
        for (std::uint32_t failures = below(14); failures > 0; --failures)
            past.history.push_back({1, all[below(12)]->name, End::failed, "no"});
        if (below(3) == 0) start(one, *all[below(12)]);
        const auto best = PlainChoice(roster, one).best();
        const WorkerSession* worker = roster.choose(one);
        ASSERT_EQ(worker == nullptr, best.empty()) << "round " << round;
        ++(worker == nullptr ? in_vain : chosen);
        if (worker == nullptr) continue;
        ASSERT_TRUE(best.contains(worker)) << "round " << round << ": " << worker->name;
        where_it_failed +=
            static_cast<std::size_t>(std::ranges::count(past.history, worker->name, &PastAttemptEntry::worker) > 0);
        if (below(3) == 0) roster.next_turn();
    }
    EXPECT_GT(chosen, 1000U);
    EXPECT_GT(in_vain, 1000U);
    EXPECT_GT(where_it_failed, 100U);
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
