// The sinks of a collector as one: the output gets an outcome when those beside it have it.
#include "collector/sinks/sinks.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "collector/sinks/journaled_file.h"
#include "collector/sinks/sqlite.h"
#include "common/process/clock.h"
#include "tests/support/sink_bench.h"
#include "tests/support/temp_dir.h"

namespace curfew {
namespace {

using support::completed;
using support::kStart;

/// A sink that has what it is told that it has.
class FakeSink final : public Sink {
public:
    std::optional<Settled::Memory> take_memory() override { return std::exchange(memory, std::nullopt); }
    void put(const OutcomeRecord& outcome) override {
        got.push_back(outcome.seq);
        pending.emplace_back(outcome.sync, outcome.seq);
    }
    void flush(Instant, Written& written) override {
        for (; allowed > 0 && !pending.empty(); --allowed) {
            written.push_back(pending.front());
            pending.erase(pending.begin());
        }
    }
    bool answer(const OutcomeRecord& outcome) override {
        if (!asked) return false;
        answers.emplace_back(outcome.sync, outcome.seq);
        return true;
    }
    void take_answered(Written& answered) override {
        answered.insert(answered.end(), said.begin(), said.end());
        said.clear();
    }
    void forget_waiting() override {
        if (forgets) pending.clear();
    }
    [[nodiscard]] std::size_t waiting() const override { return pending.size(); }
    [[nodiscard]] std::size_t waiting_bytes() const override { return 10 * pending.size(); }
    [[nodiscard]] std::uint64_t bytes() const override { return 0; }
    [[nodiscard]] std::string_view waits_for() const override { return waits; }

    std::string_view waits;
    std::vector<Seq> got;
    Written pending, answers, said;
    bool asked = false;
    std::size_t allowed = 1000;
    bool forgets = true;
    std::optional<Settled::Memory> memory;
};

class SinksTest : public testing::Test {
protected:
    SinksTest() {
        Sinks::Parts parts{.output = take(output), .dead_letters = take(letters)};
        parts.beside.push_back(take(log));
        parts.beside.push_back(take(folders));
        sinks.emplace(std::move(parts));
    }
    static std::unique_ptr<Sink> take(FakeSink*& sink) {
        auto made = std::make_unique<FakeSink>();
        sink = made.get();
        return made;
    }
    void put(Seq seq, Outcome kind = Outcome::completed, std::uint64_t sync = 3) {
        OutcomeRecord outcome = completed(seq, "result");
        outcome.outcome = kind;
        outcome.sync = sync;
        sinks->put(std::move(outcome));
    }
    std::vector<Seq> written() {
        Sink::Written all;
        sinks->flush(kStart, all);
        std::vector<Seq> seqs;
        for (const auto& [sync, seq] : all) seqs.push_back(seq);
        return seqs;
    }

    FakeSink *output = nullptr, *letters = nullptr, *log = nullptr, *folders = nullptr;
    std::optional<Sinks> sinks;
};

TEST_F(SinksTest, AnOutcomeIsWrittenWhenAllHaveIt) {
    put(1);
    put(2, Outcome::failed);
    EXPECT_EQ(written(), (std::vector<Seq>{1, 2}));
    EXPECT_EQ(output->got, std::vector<Seq>{1});
    EXPECT_EQ(letters->got, std::vector<Seq>{2});
    EXPECT_EQ(log->got, (std::vector<Seq>{1, 2}));
    EXPECT_EQ(folders->got, (std::vector<Seq>{1, 2}));
    EXPECT_EQ(sinks->waiting(), 0U);
    EXPECT_EQ(sinks->waiting_bytes(), 0U);
}

TEST_F(SinksTest, TheOutputIsLastAndKeepsTheOrder) {
    folders->allowed = 0;
    put(1);
    put(2);
    EXPECT_TRUE(written().empty());
    EXPECT_TRUE(output->got.empty()) << "should the collector be killed now, both come again";
    EXPECT_EQ(sinks->waiting(), 2U);
    EXPECT_EQ(sinks->waiting_bytes(), 2 * 6U + 20);
    folders->allowed = 1;
    EXPECT_EQ(written(), std::vector<Seq>{1});
    folders->allowed = 1;
    output->allowed = 0;
    EXPECT_TRUE(written().empty());
    EXPECT_EQ(output->got, (std::vector<Seq>{1, 2}));
    EXPECT_EQ(sinks->waiting(), 1U);
}

TEST_F(SinksTest, WhoAskedHearsOfWhatGoesToTheDeadLettersBeforeTheyHaveIt) {
    output->asked = true;
    put(1, Outcome::failed);
    put(2);
    EXPECT_EQ(written(), std::vector<Seq>{2}) << "it waits for nobody";
    EXPECT_EQ(output->answers, (Sink::Written{{3, 1}})) << "2 is its own answer";
    EXPECT_TRUE(letters->got.empty());
    EXPECT_EQ(sinks->waiting(), 1U);
    EXPECT_EQ(sinks->waiting_bytes(), 6U);
    output->said = {{2, 1}};
    EXPECT_TRUE(written().empty()) << "of a broker that is no more";
    output->said = {{3, 1}};
    EXPECT_EQ(written(), std::vector<Seq>{1});
    EXPECT_EQ(letters->got, std::vector<Seq>{1});
    EXPECT_EQ(sinks->waiting(), 0U);
    EXPECT_EQ(sinks->waiting_bytes(), 0U);
}

TEST_F(SinksTest, WhoAskedIsAnsweredAnewByANewBroker) {
    output->asked = true;
    put(1, Outcome::failed);
    (void)written();
    sinks->forget_waiting();
    EXPECT_EQ(sinks->waiting_bytes(), 0U);
    put(1, Outcome::failed, 4);
    (void)written();
    output->said = {{3, 1}, {4, 1}};
    EXPECT_EQ(written(), std::vector<Seq>{1});
    EXPECT_EQ(letters->got, std::vector<Seq>{1});
}

TEST(Sinks, WithoutDeadLettersNothingIsAnsweredTwice) {
    auto made = std::make_unique<FakeSink>();
    FakeSink* const output = made.get();
    output->asked = true;
    Sinks sinks({.output = std::move(made)});
    OutcomeRecord outcome = completed(1, "result");
    outcome.outcome = Outcome::failed;
    sinks.put(std::move(outcome));
    EXPECT_TRUE(output->answers.empty());
    EXPECT_EQ(output->got, std::vector<Seq>{1});
}

TEST_F(SinksTest, WhatIsUnsaidSettlesAndNobodyIsGivenIt) {
    OutcomeRecord outcome = completed(1, "result");
    outcome.outcome = Outcome::cancelled;
    outcome.unsaid = true;
    sinks->put(std::move(outcome));
    EXPECT_EQ(written(), std::vector<Seq>{1});
    for (const FakeSink* sink : {output, letters, log, folders}) EXPECT_TRUE(sink->got.empty());
}

TEST_F(SinksTest, WhatWasPutForABrokerThatIsNoMoreDoesNotCount) {
    log->allowed = 0;
    log->forgets = false;
    put(1);
    EXPECT_TRUE(written().empty());
    sinks->forget_waiting();
    EXPECT_EQ(sinks->waiting(), 1U) << "the log has begun";
    put(1, Outcome::completed, 4);
    log->allowed = 1;
    EXPECT_TRUE(written().empty()) << "the one of before";
    log->allowed = 1;
    EXPECT_EQ(written(), std::vector<Seq>{1});
    EXPECT_EQ(output->got, std::vector<Seq>{1});
}

TEST_F(SinksTest, HowLongOneOfThemWaitsIsCountedFromItsBeginning) {
    using namespace std::chrono_literals;
    Sink::Written written;
    const auto flush = [&](Duration later) { sinks->flush(kStart + later, written); };
    flush(0s);
    EXPECT_EQ(sinks->waited(kStart), std::nullopt);
    letters->waits = "a reader";
    flush(1s);
    output->waits = "space";
    flush(3s);
    EXPECT_EQ(sinks->waited(kStart + 4s), Duration(3s));
    letters->waits = output->waits = "";
    flush(5s);
    EXPECT_EQ(sinks->waited(kStart + 5s), std::nullopt);
}

TEST_F(SinksTest, OnlyTheOutputAndTheDeadLettersRemember) {
    output->memory = Settled::Memory{.epoch = 1, .settled = {{1, 5}}, .not_completed = {}};
    letters->memory = Settled::Memory{.epoch = 1, .settled = {{6, 6}}, .not_completed = {}};
    log->memory = Settled::Memory{.epoch = 1, .settled = {{1, 9}}, .not_completed = {}};
    const std::vector<Settled::Memory> memories = sinks->take_memories();
    ASSERT_EQ(memories.size(), 2U);
    EXPECT_EQ(memories[0].settled, (Intervals{{1, 5}}));
    EXPECT_EQ(memories[1].settled, (Intervals{{6, 6}}));
}

/// Output and dead letters that go on where they were, and know what they have.
class KeptSinksTest : public support::SinkTest {
protected:
    std::unique_ptr<Sink> file(const std::string& name) const {
        return std::make_unique<JournaledFile>(
            JournaledFile::Place{
                .path = dir.file(name), .journal = dir.file(name + ".journal"), .sync = SyncMode::never},
            append_json);
    }
    void open(std::unique_ptr<Sink> letters) {
        sinks.emplace(Sinks::Parts{.output = file("out"), .dead_letters = std::move(letters)});
        memories = sinks->take_memories();
    }
    void put(Seq seq, Outcome kind, std::uint64_t sync) {
        OutcomeRecord outcome = completed(seq, "result");
        outcome.epoch = 1;
        outcome.outcome = kind;
        outcome.sync = sync;
        sinks->put(std::move(outcome));
    }
    /// Which are written, and said.
    std::vector<Seq> written(std::size_t count) {
        Sink::Written all;
        for (const Instant until = Clock::now() + std::chrono::seconds(10); Clock::now() < until && all.size() < count;)
            sinks->flush(kStart, all);
        std::vector<Seq> seqs;
        for (const auto& [sync, seq] : all) seqs.push_back(seq);
        std::ranges::sort(seqs);
        return seqs;
    }
    void decides_anew(std::unique_ptr<Sink> letters) {
        open(std::move(letters));
        put(1, Outcome::failed, 1);
        put(2, Outcome::completed, 1);
        sinks->forget_waiting();
        put(1, Outcome::completed, 2);
        put(2, Outcome::failed, 2);
        put(3, Outcome::failed, 2);
        EXPECT_EQ(written(5), (std::vector<Seq>{1, 1, 2, 2, 3})) << "each is said to who put it";
        EXPECT_EQ(sinks->waiting(), 0U);
        sinks.reset();
    }
    void has_each_once() {
        ASSERT_EQ(memories.size(), 2U);
        EXPECT_EQ(memories[0].settled, (Intervals{{2, 2}})) << "the output";
        EXPECT_TRUE(memories[0].not_completed.empty());
        EXPECT_EQ(memories[1].settled, (Intervals{{1, 1}, {3, 3}})) << "the dead letters";
        EXPECT_EQ(memories[1].not_completed, (std::map<Seq, Outcome>{{1, Outcome::failed}, {3, Outcome::failed}}));
    }

    support::TempDir dir;
    std::optional<Sinks> sinks;
    std::vector<Settled::Memory> memories;
};

TEST_F(KeptSinksTest, ATaskThatIsDecidedAnewIsInOneFile) {
    decides_anew(file("letters"));
    open(file("letters"));
    has_each_once();
}

TEST_F(KeptSinksTest, ATaskThatIsDecidedAnewIsInAFileOrInADatabase) {
    decides_anew(std::make_unique<SqliteSink>(dir.file("db"), SyncMode::never));
    open(std::make_unique<SqliteSink>(dir.file("db"), SyncMode::never));
    has_each_once();
}

}  // namespace
}  // namespace curfew
