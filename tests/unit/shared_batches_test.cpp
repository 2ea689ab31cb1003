// What goes to several workers is written once, and each of them reads its own attempts out of it.
#include "broker/shared_batches.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>
#include <set>
#include <sstream>

#include "tests/support/frames.h"

namespace curfew {
namespace {

using wire::Addressee;

wire::Task task(Seq seq, std::string_view payload = "work") {
    wire::Task record;
    record.seq = seq;
    record.attempts = 2;
    record.left_us = 1000;
    record.payload = payload;
    return record;
}

/// "number/seq=payload " of all tasks that the frames hold for a session, in their order.
std::string read(const std::vector<SharedBatches::Out>& frames, Session session) {
    std::string told;
    for (const SharedBatches::Out& out : frames) {
        if (std::ranges::find(out.sessions, session) == out.sessions.end()) continue;
        const support::Frame frame = support::read_frame(out.bytes);
        EXPECT_EQ(frame.error, wire::Error::none);
        EXPECT_EQ(frame.envelope.peer, 0U);
        for (const auto& shared : frame.all<wire::SharedTasks>()) {
            wire::SharedReader reader(shared, session);
            EXPECT_TRUE(reader.addressed());
            while (const wire::Task* one = reader.next()) {
                told += std::to_string(one->number) + "/" + std::to_string(one->seq) + "=" + std::string(one->payload) +
                        " ";
            }
            EXPECT_TRUE(reader.good());
        }
    }
    return told;
}

std::size_t records(const std::vector<SharedBatches::Out>& frames) {
    std::size_t count = 0;
    for (const SharedBatches::Out& out : frames) count += support::read_frame(out.bytes).records.size();
    return count;
}

TEST(SharedBatches, OneFrameForAllWorkersOfATask) {
    SharedBatches batches(1);
    batches.add({{1, 10, 1}, {2, 20, 2}}, task(5));
    const auto frames = batches.flush();
    ASSERT_EQ(frames.size(), 1U);
    EXPECT_EQ(frames[0].sessions, (std::vector<Session>{1, 2}));
    EXPECT_EQ(read(frames, 1), "10/5=work ");
    EXPECT_EQ(read(frames, 2), "20/5=work ");
    EXPECT_TRUE(batches.flush().empty());
}

TEST(SharedBatches, EachWorkerReadsItsOwnOrdinal) {
    SharedBatches batches(1);
    batches.add({{1, 10, 1}, {2, 20, 2}}, task(5));
    const support::Frame frame = support::read_frame(batches.flush().at(0).bytes);
    wire::SharedReader reader(frame.all<wire::SharedTasks>().at(0), 2);
    const wire::Task* read = reader.next();
    ASSERT_NE(read, nullptr);
    EXPECT_EQ(read->ordinal, 2U);
    EXPECT_EQ(read->attempts, 2U);
    EXPECT_EQ(read->left_us, 1000);
}

TEST(SharedBatches, TasksInStepShareOneRecord) {
    SharedBatches batches(1);
    batches.add({{1, 1, 1}, {2, 1, 2}}, task(1, "a"));
    batches.add({{1, 2, 1}, {2, 2, 2}}, task(2, "b"));
    batches.add({{1, 4, 1}, {2, 4, 2}}, task(9, "c"));
    const auto frames = batches.flush();
    EXPECT_EQ(records(frames), 1U);
    EXPECT_EQ(read(frames, 1), "1/1=a 2/2=b 4/9=c ");
    EXPECT_EQ(read(frames, 2), "1/1=a 2/2=b 4/9=c ");
}

TEST(SharedBatches, TasksOutOfStepDoNot) {
    SharedBatches batches(1);
    batches.add({{1, 1, 1}, {2, 1, 2}}, task(1, "a"));
    batches.add({{1, 2, 1}, {2, 3, 2}}, task(2, "b"));  // another step
    batches.add({{1, 3, 2}, {2, 4, 1}}, task(3, "c"));  // other ordinals
    wire::Task late = task(4, "d");
    late.age_us = 7;
    batches.add({{1, 4, 2}, {2, 5, 1}}, late);
    batches.add({{1, 5, 2}, {2, 6, 1}}, task(2, "e"));  // an older task, tried again
    const auto frames = batches.flush();
    EXPECT_EQ(frames.size(), 1U);
    EXPECT_EQ(records(frames), 5U);
    EXPECT_EQ(read(frames, 1), "1/1=a 2/2=b 3/3=c 4/4=d 5/2=e ");
    EXPECT_EQ(read(frames, 2), "1/1=a 3/2=b 4/3=c 5/4=d 6/2=e ");
}

TEST(SharedBatches, AFullFrameIsClosed) {
    SharedBatches batches(1);
    const std::string payload(100'000, 'x');
    for (std::uint64_t n = 1; n <= 4; ++n) batches.add({{1, n, 1}, {2, n, 2}}, task(n, payload));
    EXPECT_EQ(batches.flush().size(), 2U);
}

TEST(SharedBatches, AnyMixOfWorkersReadsWhatItWasGiven) {
    std::mt19937_64 random(8);
    SharedBatches batches(1);
    std::map<Session, AttemptNumber> numbers;
    for (int turn = 0; turn < 50; ++turn) {
        std::map<Session, std::multiset<std::string>> expected;
        for (Seq seq = 1; seq <= 60; ++seq) {
            std::vector<Addressee> to;
            for (Session session = 1; session <= 9; ++session) {
                if (random() % 3 != 0) continue;
                to.push_back({session, ++numbers[session], static_cast<std::uint32_t>(to.size() + 1)});
            }
            if (to.empty()) continue;
            std::ranges::shuffle(to, random);
            const std::string payload(random() % 20, 'p');
            batches.add(to, task(seq, payload));
            for (const Addressee& one : to) {
                expected[one.session].insert(std::to_string(one.number) + "/" + std::to_string(seq) + "=" + payload);
            }
        }
        const auto frames = batches.flush();
        for (const auto& [session, tasks] : expected) {
            std::istringstream told(read(frames, session));
            std::multiset<std::string> got;
            for (std::string word; told >> word;) got.insert(word);
            ASSERT_EQ(got, tasks);
        }
    }
}

}  // namespace
}  // namespace curfew
