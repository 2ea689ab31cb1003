// What a sender says of its message, as a program and a service hear it.
#include "worker/handlers/sender_words.h"

#include <gtest/gtest.h>

#include "common/wire/message_properties.h"

namespace curfew {
namespace {

struct SenderWordsTest : ::testing::Test {
    Work with(const wire::MessageProperties& said) {
        properties = wire::pack(said);
        Work work;
        work.message_id = "i1";
        work.properties = properties;
        return work;
    }
    std::string properties;
};

TEST_F(SenderWordsTest, VariablesHaveNamesThatNoProgramHeeds) {
    const Work work = with({.reply_to = "answers",
                            .correlation_id = "c1",
                            .content_type = "text/x",
                            .headers = {{"Trace-Id", "t"}, {"LD_PRELOAD", "x"}, {"a=b\n", "y"}, {"\xc3\xa4", "z"}}});
    std::string expected;
    for (const char* variable :
         {"CURFEW_MESSAGE_ID=i1", "CURFEW_CORRELATION_ID=c1", "CURFEW_CONTENT_TYPE=text/x", "CURFEW_HEADER_TRACE_ID=t",
          "CURFEW_HEADER_LD_PRELOAD=x", "CURFEW_HEADER_A_B_=y", "CURFEW_HEADER___=z"})
        expected += std::string(variable) + '\0';
    EXPECT_EQ(variables_of(work), expected);
}

TEST_F(SenderWordsTest, WhatHoldsANulIsLeftOut) {
    const Work work = with({.correlation_id = std::string("a\0b", 3), .headers = {{"x", std::string("\0", 1)}}});
    EXPECT_EQ(variables_of(work), std::string("CURFEW_MESSAGE_ID=i1") + '\0');
}

TEST_F(SenderWordsTest, NothingIsSaidOfWhatSaysNothing) {
    EXPECT_EQ(variables_of(Work{}), "");
    EXPECT_TRUE(header_lines_of(Work{}).empty());
    Work work;
    work.properties = "no properties";
    EXPECT_EQ(variables_of(work), "");
}

TEST_F(SenderWordsTest, ARequestHasWhatIsALineAndNotTheConnections) {
    const Work work = with({.correlation_id = "c1",
                            .content_type = "text/x",
                            .headers = {{"Trace-Id", "t"},
                                        {"HOST", "evil"},
                                        {"Content-length", "7"},
                                        {"Authorization", "me"},
                                        {"split", "x\r\ny: z"},
                                        {"a b", "c"},
                                        {"", "empty"},
                                        {"none", ""}}});
    EXPECT_EQ(header_lines_of(work),
              (std::vector<std::string>{"Content-Type: text/x", "X-Correlation-ID: c1", "Trace-Id: t"}));
}

}  // namespace
}  // namespace curfew
