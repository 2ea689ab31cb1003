// Folders of results: whole or not at all, whatever is there already, and whatever the disk says.
#include "collector/sinks/results.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "common/process/clock.h"
#include "common/process/options.h"
#include "common/process/poller.h"
#include "tests/support/sink_bench.h"
#include "tests/support/temp_dir.h"

namespace curfew {
namespace {

using namespace std::chrono_literals;
using support::completed;
using support::TempDir;

OutcomeRecord outcome_of(Seq seq, std::string_view result, std::string errors = {}, std::uint64_t written = 0) {
    OutcomeRecord outcome = completed(seq, result);
    outcome.message = "question";
    outcome.work = std::make_unique<ToldWork>();
    outcome.work->stderr_bytes = std::max<std::uint64_t>(written, errors.size());
    outcome.work->errors = std::move(errors);
    return outcome;
}

class ResultsTest : public support::SinkTest {
protected:
    ResultsSink& open(bool synced = false) {
        sink.reset();
        sink = std::make_unique<ResultsSink>(dir.file("results"), synced);
        return *sink;
    }
    /// As soon as there are so many.
    std::vector<Seq> had(std::size_t count) {
        std::vector<Seq> seqs;
        const Instant until = Clock::now() + 20s;
        while (seqs.size() < count && Clock::now() < until) {
            Poller poller;
            sink->wait_for(poller);
            poller.wait(until);
            for (const Seq seq : support::flush(*sink)) seqs.push_back(seq);
        }
        return seqs;
    }
    [[nodiscard]] std::string read(const std::string& name) const { return dir.read("results/" + name); }
    [[nodiscard]] bool exists(const std::string& name) const {
        return std::filesystem::exists(dir.file("results/" + name));
    }
    static std::string refusal(const std::string& path) {
        try {
            ResultsSink::check(path);
            const ResultsSink sink(path, false);
        } catch (const Unusable& error) {
            return error.what();
        }
        return {};
    }

    TempDir dir;
    std::unique_ptr<ResultsSink> sink;
};

TEST_F(ResultsTest, EachMessageHasItsFolder) {
    open();
    sink->put(outcome_of(1, "one\ntwo\n", "err"));
    sink->put(outcome_of(123'456, "", "the end", 100));
    EXPECT_EQ(had(2), (std::vector<Seq>{1, 123'456}));
    EXPECT_EQ(sink->waiting(), 0U);
    EXPECT_EQ(sink->waiting_bytes(), 0U);
    EXPECT_EQ(read("000000/000000001/stdout"), "one\ntwo\n");
    EXPECT_EQ(read("000000/000000001/stderr"), "err");
    EXPECT_EQ(read("000123/000123456/stdout"), "");
    EXPECT_EQ(read("000123/000123456/stderr.end"), "the end");
    EXPECT_FALSE(exists("000123/000123456/stderr"));
    const auto meta = nlohmann::json::parse(read("000000/000000001/meta.json"));
    EXPECT_EQ(meta["seq"], 1);
    EXPECT_EQ(meta["message"], "question");
    EXPECT_FALSE(meta.contains("result"));
}

TEST_F(ResultsTest, WhatDidNotCompleteHasNoStdout) {
    open(true);
    OutcomeRecord outcome = outcome_of(2, "");
    outcome.outcome = Outcome::failed;
    outcome.work.reset();
    sink->put(outcome);
    EXPECT_EQ(had(1), std::vector<Seq>{2});
    EXPECT_TRUE(exists("000000/000000002/meta.json"));
    EXPECT_FALSE(exists("000000/000000002/stdout"));
    EXPECT_FALSE(exists("000000/000000002/stderr"));
}

TEST_F(ResultsTest, AFolderThatIsThereIsReplacedAsAWhole) {
    open();
    sink->put(outcome_of(1, "old", "old words"));
    EXPECT_EQ(had(1), std::vector<Seq>{1});
    open();
    OutcomeRecord again = outcome_of(1, "new");
    again.work.reset();
    sink->put(again);
    EXPECT_EQ(had(1), std::vector<Seq>{1});
    EXPECT_EQ(read("000000/000000001/stdout"), "new");
    EXPECT_FALSE(exists("000000/000000001/stderr"));
    EXPECT_FALSE(exists("000000/.000000001"));
}

TEST_F(ResultsTest, WhatAKillHasLeftIsMadeAnew) {
    open();
    std::filesystem::create_directories(dir.file("results/000000/.000000001"));
    (void)dir.write("results/000000/.000000001/stdout", "ha");
    sink->put(outcome_of(1, "whole"));
    EXPECT_EQ(had(1), std::vector<Seq>{1});
    EXPECT_EQ(read("000000/000000001/stdout"), "whole");
    EXPECT_FALSE(exists("000000/.000000001"));
}

TEST_F(ResultsTest, AFolderOfAThousandThatSomebodyRemovesIsMadeAgain) {
    open();
    sink->put(outcome_of(1, "one"));
    EXPECT_EQ(had(1), std::vector<Seq>{1});
    std::filesystem::remove_all(dir.file("results/000000"));
    sink->put(outcome_of(2, "two"));
    EXPECT_EQ(had(1), std::vector<Seq>{2});
    EXPECT_EQ(read("000000/000000002/stdout"), "two");
}

TEST_F(ResultsTest, OnlyAFolderThatIsNewEmptyOrOursIsTaken) {
    std::filesystem::create_directory(dir.file("empty"));
    std::filesystem::create_directory(dir.file("full"));
    (void)dir.write("full/letter", "dear");
    (void)dir.write("file", "text");
    EXPECT_EQ(refusal(dir.file("empty")), "");
    EXPECT_EQ(refusal(dir.file("empty")), "") << "ours now";
    EXPECT_NE(refusal(dir.file("full")).find("is not empty, and not of curfew"), std::string::npos);
    EXPECT_NE(refusal(dir.file("file")).find("is no folder"), std::string::npos);
    EXPECT_NE(refusal(dir.file("none/such")).find("cannot make"), std::string::npos);
    (void)dir.write("empty/.curfew-results", "curfew results 2\n");
    EXPECT_NE(refusal(dir.file("empty")).find("of another curfew, or damaged"), std::string::npos);
    EXPECT_EQ(dir.read("full/letter"), "dear");
}

TEST_F(ResultsTest, TwoDoNotWriteIntoOne) {
    open();
    EXPECT_NE(refusal(dir.file("results")).find("is being written by another collector"), std::string::npos);
}

TEST_F(ResultsTest, WhatCannotBeWrittenIsAnError) {
    open();
    (void)dir.write("results/000000", "in the way");
    sink->put(outcome_of(1, "one"));
    Sink::Written written;
    const auto until_it_throws = [&] {
        const Instant until = Clock::now() + 20s;
        while (Clock::now() < until) {
            Poller poller;
            sink->wait_for(poller);
            poller.wait(until);
            sink->flush(support::kStart, written);
        }
    };
    EXPECT_THROW(until_it_throws(), std::system_error);
    EXPECT_TRUE(written.empty());
}

TEST_F(ResultsTest, WhatHasNotBegunIsForgotten) {
    open();
    // On a machine that is busy elsewhere few may all have begun
    Seq seq = 0;
    for (std::size_t count = 200; count <= 12'800; count *= 4) {
        for (std::size_t put = 0; put < count; ++put) sink->put(outcome_of(++seq, std::string(10'000, 'x')));
        sink->forget_waiting();
        const std::size_t left = sink->waiting();
        EXPECT_EQ(had(left).size(), left);
        EXPECT_EQ(sink->waiting_bytes(), 0U);
        if (left < count) return;
    }
    FAIL() << "all had begun";
}

}  // namespace
}  // namespace curfew
