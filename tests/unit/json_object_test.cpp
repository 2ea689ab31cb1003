// What a process says of itself is JSON that any reader takes, whatever its names are made of.
#include "common/look/json_object.h"

#include <gtest/gtest.h>

#include <array>
#include <nlohmann/json.hpp>
#include <optional>
#include <vector>

namespace curfew {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;

TEST(JsonObject, MembersStandInTheOrderInWhichTheyAreAdded) {
    JsonObject object;
    object.add("seq", std::uint64_t{18'446'744'073'709'551'615U}).add("delta", -7).add("balanced", true);
    object.add("worker", "w1").add("age_s", Duration(1500us)).add("rate", 0.1);
    EXPECT_EQ(object.text(),
              R"({"seq":18446744073709551615,"delta":-7,"balanced":true,"worker":"w1","age_s":0.001500,"rate":0.1})");
}

TEST(JsonObject, AnEmptyOneIsAnObjectToo) {
    JsonObject empty;
    EXPECT_EQ(empty.text(), "{}");
    EXPECT_EQ(JsonObject().append(empty).add("a", 1).append(empty).text(), R"({"a":1})");
    EXPECT_EQ(JsonObject().append(JsonObject().add("a", 1)).append(JsonObject().add("b", 2)).text(),
              R"({"a":1,"b":2})");
}

TEST(JsonObject, WhatIsNotThereIsNull) {
    EXPECT_EQ(JsonObject().add("pid", std::optional<int>()).add("left_s", std::optional(Duration(2s))).text(),
              R"({"pid":null,"left_s":2.000000})");
    EXPECT_EQ(JsonObject().add("worker", if_any("")).add("pool", if_any("p")).text(), R"({"worker":null,"pool":"p"})");
}

TEST(JsonObject, ObjectsAndListsStandInside) {
    std::vector<JsonObject> workers(2);
    workers[0].add("name", "a");
    workers[1].add("name", "b").add("slots", JsonObject().add("busy", 1));
    EXPECT_EQ(JsonObject().add("workers", workers).add("none", std::vector<int>()).text(),
              R"({"workers":[{"name":"a"},{"name":"b","slots":{"busy":1}}],"none":[]})");
    EXPECT_EQ(JsonObject().add("counts", std::array<std::uint64_t, 3>{1, 2, 3}).text(), R"({"counts":[1,2,3]})");
}

TEST(JsonObject, TextOfAnyBytesIsReadAgainAsItWas) {
    for (const std::string& text : {std::string("quote \" slash \\ tab \t line \n"), std::string("\x01\x1f\x7f"),
                                    std::string("nul \0 behind", 12), std::string("gr\u00fc\u00dfe \u2713")}) {
        const json read = json::parse(JsonObject().add("name", text).text());
        EXPECT_EQ(read["name"].get<std::string>(), text);
    }
    EXPECT_EQ(json::parse(JsonObject().add("name", "\xff!").text())["name"], "\ufffd!");
}

TEST(JsonObject, EachKindStandsByItsName) {
    const std::array<std::uint64_t, kOutcomes + 1> counts{99, 1, 2, 3, 4};
    EXPECT_EQ(by_name<Outcome>(counts).text(), R"({"completed":1,"failed":2,"expired":3,"cancelled":4})");
}

}  // namespace
}  // namespace curfew
