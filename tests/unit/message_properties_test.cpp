// What a sender says of its message, as it travels.
#include "common/wire/message_properties.h"

#include <gtest/gtest.h>

namespace curfew::wire {
namespace {

const MessageProperties kSaid{.reply_to = "answers",
                              .correlation_id = "c1",
                              .content_type = "text/plain",
                              .headers = {{"tenant", "a"}, {"empty", ""}, {"bytes", std::string("\0\xff", 2)}}};

TEST(MessageProperties, ComeBackAsTheyWere) {
    EXPECT_EQ(unpack_properties(pack(kSaid)), kSaid);
    EXPECT_EQ(pack({}), "");
    EXPECT_EQ(unpack_properties(""), MessageProperties{});
}

TEST(MessageProperties, AreWhole) {
    const std::string bytes = pack(kSaid);
    for (std::size_t size = 1; size < bytes.size(); ++size)
        EXPECT_EQ(unpack_properties(std::string_view(bytes).substr(0, size)), std::nullopt) << size;
    for (const char* wrong : {"\x91\xc0", "\x94\x01\x02\x03\x04", "hello", "\x94\xa0\xa0\xa0\x91\xa1x"})
        EXPECT_EQ(unpack_properties(wrong), std::nullopt);
}

TEST(MessageProperties, ANewerFieldIsPassedOver) {
    std::string bytes = pack(kSaid);
    bytes[0] = static_cast<char>(0x95);
    bytes += '\x07';
    EXPECT_EQ(unpack_properties(bytes), kSaid);
}

}  // namespace
}  // namespace curfew::wire
