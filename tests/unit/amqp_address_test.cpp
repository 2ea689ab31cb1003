// Where a queue server is, as people write it.
#include "common/amqp/address.h"

#include <gtest/gtest.h>

#include <array>

namespace curfew::amqp {
namespace {

constexpr std::array<std::string_view, 2> kKnown{"queue", "key"};

Address parsed(std::string_view rest, bool tls = false) {
    return parse_address(tls, rest, kKnown);
}

std::string refused(std::string_view rest) {
    try {
        (void)parsed(rest);
    } catch (const std::invalid_argument& error) {
        return error.what();
    }
    return "taken";
}

TEST(AmqpAddress, HasWhatIsSaid) {
    const Address address = parsed("//me@one,two:5673,[::1]:7,[fe80::2]/a%2fb?queue=jobs%20new&key=k");
    EXPECT_EQ(address.user, "me");
    ASSERT_EQ(address.hosts.size(), 4U);
    EXPECT_EQ(address.hosts[0].text(), "one:5672");
    EXPECT_EQ(address.hosts[1].text(), "two:5673");
    EXPECT_EQ(address.hosts[2].text(), "[::1]:7");
    EXPECT_EQ(address.hosts[3].text(), "[fe80::2]:5672");
    EXPECT_EQ(address.vhost, "a/b");
    EXPECT_EQ(address.parameter("queue"), "jobs new");
    EXPECT_EQ(address.parameter("key"), "k");
    EXPECT_EQ(address.text(), "amqp://me@one:5672,two:5673,[::1]:7,[fe80::2]:5672/a/b");
}

TEST(AmqpAddress, HasDefaultsAsRabbitMqHas) {
    for (const std::string_view rest : {"//host", "//host/", "//host/%2f", "//host?queue=q"}) {
        const Address address = parsed(rest);
        EXPECT_EQ(address.vhost, "/") << rest;
        EXPECT_EQ(address.user, "guest");
        EXPECT_EQ(address.hosts[0].port, 5672);
    }
    EXPECT_EQ(parsed("//host", true).hosts[0].port, 5671);
    EXPECT_EQ(parsed("//host", true).text(), "amqps://guest@host:5671/");
}

TEST(AmqpAddress, SaysWhatIsWrongAndNeverThePassword) {
    EXPECT_NE(refused("//me:secret@host/").find("--password-file"), std::string::npos);
    EXPECT_EQ(refused("//me:secret@host/").find("secret"), std::string::npos);
    EXPECT_NE(refused("host/").find("two slashes"), std::string::npos);
    EXPECT_NE(refused("///v?queue=q").find("a host is missing"), std::string::npos);
    EXPECT_NE(refused("//a,,b/").find("a host is missing"), std::string::npos);
    EXPECT_NE(refused("//a:port/").find("'port' is no port"), std::string::npos);
    EXPECT_NE(refused("//a:0/").find("'0' is no port"), std::string::npos);
    EXPECT_NE(refused("//a:70000/").find("is no port"), std::string::npos);
    EXPECT_NE(refused("//a/b/c").find("%2f"), std::string::npos);
    EXPECT_NE(refused("//a/?que=b").find("'que' is not known"), std::string::npos);
    EXPECT_NE(refused("//a/?queue=b&queue=c").find("twice"), std::string::npos);
    EXPECT_NE(refused("//a/%2").find("hexadecimal"), std::string::npos);
}

}  // namespace
}  // namespace curfew::amqp
