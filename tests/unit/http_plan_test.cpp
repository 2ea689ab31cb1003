// What is said of http on the command line: taken as people mean it, or refused with what is wrong.
#include "worker/handlers/http/plan.h"

#include <gtest/gtest.h>

#include <functional>
#include <stdexcept>

#include "tests/support/temp_dir.h"
#include "worker/handlers/http/tls_files.h"

namespace curfew {
namespace {

HttpFlags with_url(const std::string& url) {
    HttpFlags flags;
    flags.url = url;
    return flags;
}

/// What is wrong with it; empty: nothing.
std::string wrong(const HttpFlags& flags) {
    try {
        (void)HttpPlan(flags);
        return "";
    } catch (const std::runtime_error& error) {
        return error.what();
    } catch (const std::invalid_argument& error) {
        return error.what();
    }
}

TEST(Statuses, AreClassesNumbersAndRanges) {
    const Statuses statuses("--ok-status", "2xx,304,400-404");
    for (const long status : {200, 299, 304, 400, 402, 404}) EXPECT_TRUE(statuses.has(status)) << status;
    for (const long status : {0, 100, 199, 300, 303, 305, 399, 405, 599, 600, -1, 99999})
        EXPECT_FALSE(statuses.has(status)) << status;
    EXPECT_FALSE(Statuses("--reject-status", "").has(200));
}

TEST(Statuses, RefuseWhatIsNone) {
    for (const char* text : {"2x", "2XX", "6xx", "99", "600", "abc", ",200", "200-", "-200", "2xx-3xx", "200 "}) {
        EXPECT_THROW(Statuses("--ok-status", text), std::invalid_argument) << text;
    }
}

TEST(HttpPlan, TheMessageStandsPercentEncodedWhereItsPlaceIs) {
    const HttpPlan plan(with_url("http://h:8080/a/{}?b={}"));
    EXPECT_EQ(plan.url("x y/\xc3\xa9&"), "http://h:8080/a/x%20y%2F%C3%A9%26?b=x%20y%2F%C3%A9%26");
    EXPECT_EQ(plan.url(std::string_view("\r\n\0~-._", 7)), "http://h:8080/a/%0D%0A%00~-._?b=%0D%0A%00~-._");
    EXPECT_EQ(plan.url(""), "http://h:8080/a/?b=");
    EXPECT_TRUE(plan.message_in_url());
    EXPECT_EQ(plan.method(), "GET");
    EXPECT_EQ(plan.authority(), "h:8080");
}

TEST(HttpPlan, WithoutAPlaceTheMessageIsTheBodyOfAPost) {
    const HttpPlan plan(with_url("https://example.org/run"));
    EXPECT_FALSE(plan.message_in_url());
    EXPECT_EQ(plan.method(), "POST");
    EXPECT_EQ(plan.url("anything"), "https://example.org/run");
    EXPECT_EQ(plan.authority(), "example.org");
}

TEST(HttpPlan, AUrlThatCannotBeIsRefusedWithTheReason) {
    for (const auto& [url, what] : {std::pair{"", "needs --url"},
                                    {"example.org/{}", "no URL like"},
                                    {"ftp://h/{}", "only http and https"},
                                    {"file:///etc/passwd", "only http and https"},
                                    {"http:///{}", "names no host"},
                                    {"http://", "no URL like"},
                                    {"http://{}/x", "may stand in the path"},
                                    {"http://{}", "may stand in the path"},
                                    {"http://a{}b.example/x", "may stand in the path"},
                                    {"http://user:secret@h/{}", "--header @FILE"}}) {
        EXPECT_NE(wrong(with_url(url)).find(what), std::string::npos) << url << ": " << wrong(with_url(url));
    }
    EXPECT_EQ(wrong(with_url("http://[::1]:80/{}")), "");
    EXPECT_EQ(wrong(with_url("http://h?q={}")), "");
}

TEST(HttpPlan, Http2NeedsTls) {
    HttpFlags flags = with_url("http://h/{}");
    flags.http2 = true;
    EXPECT_NE(wrong(flags).find("needs https"), std::string::npos);
    flags.url = "https://h/{}";
    EXPECT_EQ(wrong(flags), "");
}

TEST(HttpPlan, AMethodWithoutABodyNeedsAPlaceForTheMessage) {
    HttpFlags flags = with_url("http://h/");
    flags.method = "GET";
    EXPECT_NE(wrong(flags).find("the message would go nowhere"), std::string::npos);
    flags.url = "http://h/{}";
    EXPECT_EQ(wrong(flags), "");
    flags.method = "GE T";
    EXPECT_NE(wrong(flags).find("is no method"), std::string::npos);
}

TEST(HttpPlan, HeadersAreOneLineEachFromTheCommandLineOrAFile) {
    const support::TempDir dir;
    dir.write("secret", "Authorization: Bearer x\r\n\nX-Two: 2\n");
    HttpFlags flags = with_url("http://h/{}");
    flags.headers = {"X-One: 1", "@" + dir.file("secret")};
    const HttpPlan plan(flags);
    EXPECT_EQ(plan.headers(), (std::vector<std::string>{"X-One: 1", "Authorization: Bearer x", "X-Two: 2"}));
    EXPECT_TRUE(plan.says("authorization"));
    EXPECT_FALSE(plan.says("content-type"));

    for (const char* header : {"no colon", ": no name", "a b: c", "A: b\r\nC: d", "A: b\n"}) {
        flags.headers = {header};
        EXPECT_NE(wrong(flags).find("is not 'NAME: VALUE'"), std::string::npos) << header;
    }
    dir.write("wrong", "A: b\nnothing\n");
    flags.headers = {"@" + dir.file("wrong")};
    EXPECT_NE(wrong(flags).find("line 2"), std::string::npos) << wrong(flags);
    EXPECT_EQ(wrong(flags).find("nothing"), std::string::npos) << "it may be a secret";
    flags.headers = {"@" + dir.file("missing")};
    EXPECT_NE(wrong(flags).find("cannot read"), std::string::npos);
}

TEST(HttpPlan, AHeaderThatLibcurlSaysByItselfIsRefusedWithTheReason) {
    HttpFlags flags = with_url("http://h/{}");
    for (const char* header : {"Content-Length: 5", "content-length: 0", "Transfer-Encoding: chunked",
                               "CONNECTION: close", "Keep-Alive: 5", "Upgrade: h2c"}) {
        flags.headers = {header};
        EXPECT_NE(wrong(flags).find("is not for you to say"), std::string::npos) << header;
    }
    const support::TempDir dir;
    dir.write("secret", "A: b\nConnection: hush\n");
    flags.headers = {"@" + dir.file("secret")};
    EXPECT_NE(wrong(flags).find("line 2"), std::string::npos) << wrong(flags);
    EXPECT_EQ(wrong(flags).find("hush"), std::string::npos) << "what stands in a file may be a secret";
    flags.headers = {"Host: other", "Content-Type: text/plain", "Accept: x"};
    EXPECT_EQ(wrong(flags), "");
}

TEST(HttpPlan, NoSecretGoesAlongToAnotherOrigin) {
    const support::TempDir dir;
    dir.write("secret", "X-Api-Key: hush\nAccept: text/html\n");
    HttpFlags flags = with_url("http://h/{}");
    flags.headers = {"X-One: 1", "@" + dir.file("secret"), "Authorization: Bearer x", "cookie: y", "Host: h2"};
    EXPECT_EQ(HttpPlan(flags).headers().size(), 6U);
    EXPECT_EQ(HttpPlan(flags).headers_abroad(), std::vector<std::string>{"X-One: 1"});
}

TEST(HttpPlan, ARedirectLeadsAbroadWhereSchemeHostOrPortIsAnother) {
    const HttpPlan plan(with_url("http://Example.org/a/{}"));
    for (const char* home : {"/b", "b?c=d", "?x", "#x", "//example.org/", "http://EXAMPLE.org:80/b", "", "/a b"})
        EXPECT_FALSE(plan.leads_abroad("http://example.org/a/m", home)) << home;
    for (const char* abroad : {"https://example.org/", "http://example.org:8080/", "//other/", "http://other/b",
                               "http://example.org@other/", "http://", "ftp://example.org/", "http://sub.example.org/"})
        EXPECT_TRUE(plan.leads_abroad("http://example.org/a/m", abroad)) << abroad;
    EXPECT_TRUE(plan.leads_abroad("http://other/", "/b")) << "what is relative stays where it is";
    EXPECT_FALSE(plan.leads_abroad("http://other/", "http://example.org/"));
}

TEST(HttpPlan, ThePathOfASocketIsAsLongAsTheKernelTakes) {
    HttpFlags flags = with_url("http://h/{}");
    flags.unix_socket = "/" + std::string(106, 'x');
    EXPECT_EQ(wrong(flags), "");
    flags.unix_socket += "x";
    EXPECT_NE(wrong(flags).find("has 108 bytes, and the path of a socket has at most 107"), std::string::npos);
}

TEST(HttpPlan, AKeyNeedsItsCertificateAndFilesHaveToBeThere) {
    HttpFlags flags = with_url("https://h/{}");
    flags.key = "/dev/null";
    EXPECT_NE(wrong(flags).find("--cert"), std::string::npos);
    flags.key.clear();
    flags.ca = "/nonexistent/ca";
    EXPECT_NE(wrong(flags).find("--ca: cannot read"), std::string::npos);
}

TEST(TlsFiles, WithoutCertificatesAreRefusedByName) {
    const support::TempDir dir;
    dir.write("junk", "no PEM\n");
    const std::string junk = "'" + dir.file("junk") + "'";
    HttpFlags flags;
    EXPECT_FALSE(wrong_with_tls_files(flags));
    flags.ca = dir.file("junk");
    EXPECT_NE(wrong_with_tls_files(flags).value_or("").find("--ca: " + junk + " has no certificates"),
              std::string::npos);
    flags.ca.clear();
    flags.cert = flags.key = dir.file("junk");
    EXPECT_NE(wrong_with_tls_files(flags).value_or("").find("--cert: " + junk + " with --key " + junk),
              std::string::npos);
}

}  // namespace
}  // namespace curfew
