// The screen of `curfew-monitor top`, without a terminal.
#include "monitor/top_screen.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>

namespace curfew {
namespace {

using nlohmann::json;
using namespace std::chrono_literals;

json entry(const std::string& name, std::uint64_t won = 7, std::uint64_t session = 1) {
    return json{{"name", name},        {"pool", "p"},
                {"session", session},  {"state", "ready"},
                {"slots", 4},          {"credit", 8},
                {"in_flight", 3},      {"won", won},
                {"late", 1},           {"cancelled", 2},
                {"failed", 0},         {"expired", 0},
                {"lost", 0},           {"slots_in_service", 4},
                {"last_heard_s", 0.2}, {"took", {{"count", 9}, {"p50_us", 1000}, {"p99_us", 20'000}}}};
}

json broker(std::vector<json> workers, std::uint64_t accepted = 10, std::uint64_t in_flight = 3) {
    return json{{"role", "broker"},
                {"name", "broker"},
                {"version", "1.0"},
                {"incarnation", 5},
                {"uptime_s", 63.0},
                {"balanced", true},
                {"window", 100},
                {"tasks", {{"accepted", accepted}, {"completed", accepted - 2}, {"in_flight", 2}}},
                {"attempts", {{"started", 17 + in_flight}, {"won", 15}, {"late", 2}, {"in_flight", in_flight}}},
                {"rates", {{"accepted_per_s", 12.0}}},
                {"task_time", {{"count", 4}, {"p50_us", 2500}, {"p99_us", 30'000}}},
                {"attempt_time", {{"count", 4}, {"p50_us", 1500}, {"p99_us", 20'000}}},
                {"collector", {{"synced", true}}},
                {"workers", workers}};
}

json worker() {
    return json{{"role", "worker"}, {"pool", "p"}, {"slots", {{"all", 4}, {"busy", 3}, {"out_of_service", 0}}}};
}

json attempt(std::uint64_t seq, double age, const std::string& of = "w1") {
    return json{{"seq", seq},          {"id", fmt::format("9-{}", seq)},
                {"attempt", 1},        {"worker", of},
                {"pool", "p"},         {"state", "running"},
                {"age_s", age},        {"in_state_s", age / 2},
                {"left_s", 5.0 - age}, {"pid", nullptr}};
}

json dump(std::vector<json> attempts) {
    return json{{"in_flight", attempts.size()},
                {"groups", {{{"pool", "p"}, {"state", "running"}, {"count", attempts.size()}, {"oldest_s", 1.0}}}},
                {"attempts", attempts}};
}

Look look(json the_broker = broker({entry("w1"), entry("w2")}), json the_dump = dump({attempt(1, 3), attempt(2, 1)})) {
    return {{{"broker", std::move(the_broker)},
             {"collector", json{{"role", "collector"}}},
             {"w1", worker()},
             {"w2", worker()}},
            std::move(the_dump)};
}

/// A screen and the clock of its looks.
struct Shown {
    TopScreen screen{true, 1s};
    Instant now{100s};

    void add(const Look& what, Duration later = 1s, const char* time = "12:00:00") {
        now += later;
        screen.add(what, now, time);
    }
    void type(std::string_view text) {
        for (const char c : text) (void)screen.press(Key::character, c);
    }
    [[nodiscard]] std::vector<std::string> lines(int width = 80, int height = 24) {
        std::vector<std::string> texts;
        for (const Line& line : screen.draw(width, height)) texts.push_back(plain_text(line));
        return texts;
    }
    [[nodiscard]] std::string text(int width = 80, int height = 24) {
        return fmt::format("{}", fmt::join(lines(width, height), "\n"));
    }
    /// The first line with these words; empty: there is none.
    [[nodiscard]] std::string line_with(std::string_view words, int width = 80, int height = 24) {
        for (const std::string& line : lines(width, height)) {
            if (line.find(words) != std::string::npos) return line;
        }
        return "";
    }
};

bool has(const std::string& text, std::string_view words) {
    return text.find(words) != std::string::npos;
}

/// The style of the span that holds these words.
Style style_of(const std::vector<Line>& lines, std::string_view words) {
    for (const Line& line : lines) {
        for (const Span& span : line) {
            if (has(span.text, words)) return span.style;
        }
    }
    ADD_FAILURE() << "nothing says " << words;
    return Style::plain;
}

TEST(TopScreen, FitsAnyTerminal) {
    Shown shown;
    std::vector<json> workers, attempts;
    for (int i = 0; i < 60; ++i) {
        workers.push_back(entry(fmt::format("a-worker-with-a-long-name-{}", i), 123'456'789));
        attempts.push_back(attempt(1'000'000'000U + static_cast<unsigned>(i), i, "a-worker-with-a-long-name-東京"));
    }
    shown.add(look(broker(workers, 5'000'000'000'000, 1'000'000), dump(attempts)));
    shown.add(look(broker(workers, 5'000'000'000'000, 1'000'000), dump(attempts)));
    for (const bool help : {false, true}) {
        if (help) shown.type("?");
        for (const auto& [width, height] : {std::pair(80, 24), {140, 45}, {300, 90}, {40, 10}, {9, 3}, {1, 1}}) {
            const auto lines = shown.lines(width, height);
            EXPECT_EQ(lines.size(), static_cast<std::size_t>(height));
            for (const std::string& line : lines) EXPECT_LE(columns_of(line), width) << line;
        }
    }
    EXPECT_TRUE(shown.screen.draw(0, 0).empty());
}

TEST(TopScreen, SaysHowTheGroupIs) {
    Shown shown;
    shown.add(look());
    const std::string text = shown.text(100);
    EXPECT_TRUE(has(text, "broker 1.0  up 1m03s  books balanced  collector synced")) << text;
    EXPECT_TRUE(has(text, "10 accepted = 8 completed + 0 failed + 0 expired + 0 cancelled + 2 in flight")) << text;
    EXPECT_TRUE(has(text, "latency   p50 2.5ms  p99 30ms  p99.9 -  attempt p50 1.5ms p99 20ms")) << text;
    EXPECT_TRUE(has(text, "3/4")) << text;
    EXPECT_TRUE(has(shown.line_with("ATTEMPTS"), "2 running"));
}

Look queue_look(const json& lost_for_s, const json& waits_for) {
    json the_broker = broker({entry("w1"), entry("w2")});
    the_broker["source"] = {{"queue", "jobs"},
                            {"connected", lost_for_s.is_null() ? "rabbit-1" : ""},
                            {"trouble", "rabbit-1: no connection: nobody listens there"},
                            {"lost_for_s", lost_for_s},
                            {"depth", 12'345},
                            {"prefetch", 8},
                            {"unacked", 4},
                            {"oldest_unacked_s", 1.2},
                            {"redelivered", 3}};
    Look what = look(the_broker);
    what.stats[1].second["sink"] = {{"waiting", 9}, {"waits_for", waits_for}, {"waited_s", 3.0}};
    return what;
}

TEST(TopScreen, SaysHowTheQueueIs) {
    Shown shown;
    shown.add(look());
    EXPECT_EQ(shown.line_with("queue  "), "") << "the source is none";
    shown.add(queue_look(nullptr, nullptr));
    EXPECT_EQ(shown.line_with("queue  "),
              "queue     depth 12.3k  unacked 4 oldest 1.2s  prefetch 8  redelivered 3  jobs");
    EXPECT_TRUE(has(shown.line_with("queue  ", 100), "  jobs at rabbit-1"));
    EXPECT_EQ(shown.line_with("queue  ", 80, 13), "") << "no room";
    EXPECT_EQ(shown.line_with("sink  "), "");
    shown.add(queue_look(12.0, "the server's alarm"));
    EXPECT_EQ(style_of(shown.screen.draw(80, 24), "not connected for 12.0s"), Style::bad);
    EXPECT_TRUE(shown.line_with("queue  ").starts_with(
        "queue     not connected for 12.0s  unacked 4 oldest 1.2s  jobs  rabbit-1: no con"))
        << "what there is no room for is at the end: " << shown.line_with("queue  ");
    EXPECT_FALSE(has(shown.text(), "depth"));
    EXPECT_EQ(shown.line_with("sink  "), "sink      waits for the server's alarm for 3.0s: outcomes 9");
}

TEST(TopScreen, SaysWhatIsWrong) {
    Shown shown;
    json off = broker({entry("w1")});
    off["balanced"] = false;
    off["tasks"]["completed"] = 7;
    off["collector"]["synced"] = false;
    shown.add(look(off));
    const auto lines = shown.screen.draw(80, 24);
    EXPECT_EQ(style_of(lines, "NOT BALANCED"), Style::bad);
    EXPECT_EQ(style_of(lines, "OFF BY 1"), Style::bad);
    EXPECT_EQ(style_of(lines, "MISSING"), Style::bad);
}

TEST(TopScreen, RatesAreWhatChangedBetweenTwoLooks) {
    Shown shown;
    shown.add(look(broker({}, 10)));
    EXPECT_TRUE(has(shown.text(), "12 accepted  - settled")) << "before that, what the broker says";
    shown.add(look(broker({}, 110)), 2s);
    EXPECT_TRUE(has(shown.text(), "50 accepted  50 settled  0 attempts")) << shown.text();
    json another = broker({}, 5);
    another["incarnation"] = 6;
    shown.add(look(another));
    EXPECT_TRUE(has(shown.text(), "12 accepted")) << "another broker has other books";
}

TEST(TopScreen, AWorkerThatIsGoneIsShownAsGone) {
    Shown shown;
    shown.add(look());
    EXPECT_FALSE(has(shown.text(), "gone"));
    Look after = look(broker({entry("w1")}));
    after.stats[3].second = nullptr;
    shown.add(after);
    shown.add(after, 5s);
    EXPECT_TRUE(has(shown.line_with("w2"), "gone")) << shown.text();
    EXPECT_TRUE(has(shown.line_with("w2"), "5.0s"));
    EXPECT_TRUE(has(shown.line_with("w1"), "ready"));
    EXPECT_TRUE(has(shown.line_with("WORKERS"), "WORKERS 1  1 gone"));
}

TEST(TopScreen, AWorkerThatCameBackReplacesItsOldSession) {
    Shown shown;
    shown.add(look());
    shown.add(look(broker({entry("w1"), entry("w2", 1, 9)})));
    const auto lines = shown.lines();
    EXPECT_EQ(std::ranges::count_if(lines, [](const std::string& line) { return line.starts_with("w2"); }), 1);
    EXPECT_FALSE(has(shown.text(), "gone"));
}

TEST(TopScreen, ABrokerThatIsGoneIsSaidWithSinceWhen) {
    Shown shown;
    shown.add(look());
    const Look without{{{"broker", nullptr}, {"collector", nullptr}, {"w1", worker()}, {"w2", nullptr}}, nullptr};
    shown.add(without);
    shown.add(without, 70s);
    EXPECT_TRUE(has(shown.text(), "BROKER GONE since 12:00:00 (1m10s)")) << shown.text();
    EXPECT_TRUE(has(shown.text(), "10 accepted")) << "what was last known stays";
    EXPECT_TRUE(has(shown.line_with("per s"), "12 accepted"));
    EXPECT_EQ(style_of(shown.screen.draw(80, 24), "BROKER GONE"), Style::bad);
    EXPECT_FALSE(shown.screen.broker_answers());
    shown.add(look());
    EXPECT_FALSE(has(shown.text(), "GONE"));
}

TEST(TopScreen, AGroupThatEndedKeepsItsLastFiguresUntilThereIsAnother) {
    Shown shown;
    shown.add(look(broker({entry("w1", 7, 3), entry("w2")})));
    shown.add({{{"broker", nullptr}, {"collector", nullptr}, {"w1", worker()}, {"w2", nullptr}}, nullptr});
    EXPECT_TRUE(has(shown.line_with("ATTEMPTS"), "ATTEMPTS -")) << "who is left knows of none";
    const Look nobody{{{"broker", nullptr}, {"collector", nullptr}}, nullptr};
    shown.add(nobody, 1s, "12:00:05");
    shown.add(nobody, 60s, "12:01:05");
    EXPECT_TRUE(has(shown.lines()[0], "the group ended at 12:00:05: these are its last figures")) << shown.text();
    EXPECT_TRUE(has(shown.text(), "10 accepted")) << shown.text();
    EXPECT_TRUE(has(shown.line_with("WORKERS"), "WORKERS 2 ")) << shown.text();
    EXPECT_TRUE(has(shown.line_with("w2 "), "ready")) << shown.text();
    EXPECT_TRUE(has(shown.line_with("ATTEMPTS"), "ATTEMPTS 2 "));
    EXPECT_TRUE(has(shown.text(), "9-2"));
    (void)shown.screen.press(Key::tab);  // the selection is elsewhere
    const auto lines = shown.screen.draw(80, 24);
    EXPECT_EQ(style_of(lines, "ready"), Style::dim) << "it is no more";
    EXPECT_EQ(style_of(lines, "9-2"), Style::dim);
    EXPECT_FALSE(shown.screen.broker_answers());

    json next = broker({entry("w1")}, 1);
    next["incarnation"] = 6;
    Look another = look(next);
    another.stats.pop_back();
    shown.add({{{"broker", nullptr}, {"w1", worker()}}, nullptr}, 1s, "12:01:59");
    EXPECT_TRUE(has(shown.text(), "the group ended at 12:00:05")) << "without a broker there is no other yet";
    shown.add(another, 1s, "12:02:00");
    EXPECT_TRUE(has(shown.line_with("w1 "), " 3/4 ")) << "its sessions are numbered anew: " << shown.text();
    EXPECT_TRUE(has(shown.line_with("WORKERS"), "WORKERS 1  by"));
    EXPECT_FALSE(has(shown.text(), "ended"));
    EXPECT_TRUE(has(shown.text(), "1 accepted"));
    EXPECT_EQ(style_of(shown.screen.draw(80, 24), "ready"), Style::good);
}

TEST(TopScreen, ShowsSomethingWhenThereNeverWasABroker) {
    Shown shown;
    EXPECT_TRUE(has(shown.text(), "asking..."));
    shown.add({});
    EXPECT_TRUE(has(shown.text(), "BROKER GONE"));
    EXPECT_TRUE(has(shown.text(), "tasks     -"));
}

TEST(TopScreen, AnyFieldMayBeMissingOrOfAnotherKind) {
    Shown shown;
    shown.add({{{"broker", {{"role", "broker"}}}}, {{"attempts", {json::object(), 7}}}});
    shown.add({{{"broker", {{"role", "broker"}, {"tasks", 3}, {"workers", {{{"name", 5}}, nullptr}}}}}, json::array()});
    EXPECT_TRUE(has(shown.text(), "books ?  collector ?"));
    shown.add({{{"broker", {{"role", "broker"}, {"workers", "none"}}}}, {{"attempts", "none"}, {"groups", 1}}});
    EXPECT_EQ(shown.lines().size(), 24U);
}

TEST(TopScreen, SortsByTheNextColumnAndBack) {
    Shown shown;
    shown.add(look(broker({entry("w10", 5), entry("w2", 900), entry("w1", 70)})));
    const auto order = [&] {
        std::string names;
        for (const std::string& line : shown.lines()) {
            if (line.starts_with("w")) names += line.substr(0, line.find(' ')) + " ";
        }
        return names.substr(0, names.find("window"));
    };
    EXPECT_EQ(order(), "w1 w2 w10 ");
    shown.type("r");
    EXPECT_EQ(order(), "w10 w2 w1 ");
    shown.type("ssssss");
    EXPECT_TRUE(has(shown.text(), "by won, falling"));
    EXPECT_EQ(order(), "w2 w1 w10 ");
    shown.type("r");
    EXPECT_EQ(order(), "w10 w1 w2 ");
}

Look wide_look(std::uint64_t won) {
    json own = worker();
    own["held"] = {{"queued", 11}, {"running", 3}, {"cancelling", 1}};
    own["memory_kib"] = 20'480;
    own["uptime_s"] = 63.0;
    own["pid"] = 4711;
    json said = broker({entry("w1", won, 9)}, won);
    return {{{"broker", said}, {"w1", own}}, dump({attempt(1, 3)})};
}

TEST(TopScreen, AWideScreenHasMoreColumnsAndASecondChart) {
    Shown shown;
    shown.add(wide_look(10));
    shown.add(wide_look(40), 2s);
    EXPECT_EQ(shown.line_with("name ", 200, 50),
              "name pool state slots flight cred   won  late  canc fail  exp lost ends/s   p50   p99 heard  cpu"
              "  que  run stop   sent mem MiB     up     pid session");
    EXPECT_EQ(shown.line_with("w1 ", 200, 50),
              "w1   p    ready   3/4      3    8    40     1     2    0    0    0     15 1.0ms  20ms 200ms    -"
              "   11    3    1      -      20  1m03s    4711       9");
    EXPECT_TRUE(has(shown.line_with("latency ", 200, 50), "  attempt p50 1.5ms p99 20ms  cancel p99 -"));
    const std::string title = shown.line_with("settled/s", 200, 50);
    EXPECT_TRUE(title.starts_with("in flight ")) << title;
    EXPECT_EQ(columns_of(title.substr(0, title.find("settled/s"))), 101);
    EXPECT_TRUE(title.ends_with("█")) << title;
}

TEST(TopScreen, ANarrowScreenHasNeitherAndSortsByWhatItShows) {
    Shown shown;
    shown.add(wide_look(10));
    shown.add(wide_look(40), 2s);
    const std::string titles = shown.line_with("name ");
    EXPECT_TRUE(titles.starts_with("name pool state slots flight cred   won  late  canc fail ")) << titles;
    for (const char* more : {"ends/s", "que", "settled/s", "MiB"}) EXPECT_FALSE(has(shown.text(), more)) << more;
    for (int i = 0; i < 40; ++i) {
        shown.type("s");
        const std::string order = shown.line_with("WORKERS");
        const std::size_t from = order.find("by ") + 3;
        const std::string column = order.substr(from, order.find(',', from) - from);
        EXPECT_TRUE(has(titles, column)) << column;
    }
}

TEST(TopScreen, FiltersWhileItIsTyped) {
    Shown shown;
    shown.add(look(broker({entry("alpha"), entry("beta")})));
    shown.type("/BETq");
    EXPECT_TRUE(has(shown.text(), "filter: BETq_"));
    EXPECT_TRUE(has(shown.text(), "0 with 'BETq'"));
    (void)shown.screen.press(Key::backspace);
    EXPECT_FALSE(has(shown.text(), "alpha"));
    EXPECT_TRUE(has(shown.text(), "beta"));
    (void)shown.screen.press(Key::enter);
    EXPECT_FALSE(has(shown.text(), "filter: "));
    EXPECT_FALSE(has(shown.text(), "alpha"));
    (void)shown.screen.press(Key::escape);
    EXPECT_TRUE(has(shown.text(), "alpha"));
}

TEST(TopScreen, CancelsTheSelectedTaskOnlyAfterAYes) {
    Shown shown;
    shown.add(look());
    shown.type("c");
    EXPECT_TRUE(has(shown.lines().back(), "Tab to the attempts")) << shown.lines().back();
    (void)shown.screen.press(Key::tab);
    (void)shown.screen.press(Key::down);
    shown.type("c");
    EXPECT_EQ(shown.lines().back(), "cancel task 2? y/n");
    EXPECT_FALSE(shown.screen.press(Key::character, 'n').cancel);
    EXPECT_EQ(shown.lines().back(), "task 2 was not cancelled");
    shown.type("c");
    shown.add(look(broker({}), dump({attempt(5, 9)})));
    const Wish wish = shown.screen.press(Key::character, 'y');
    EXPECT_EQ(wish.cancel, 2U) << "the task that was asked for, whatever is selected now";
    shown.screen.say("task 2: {\"ok\":true}\n");
    EXPECT_EQ(shown.lines().back(), "task 2: {\"ok\":true}");
}

TEST(TopScreen, TheSelectionFollowsItsRow) {
    Shown shown;
    (void)shown.screen.press(Key::tab);
    shown.add(look(broker({}), dump({attempt(1, 3), attempt(2, 2), attempt(3, 1)})));
    (void)shown.screen.press(Key::down);
    shown.add(look(broker({}), dump({attempt(9, 8), attempt(1, 4), attempt(2, 3), attempt(3, 2)})));
    shown.type("c");
    EXPECT_EQ(shown.lines().back(), "cancel task 2? y/n");
    (void)shown.screen.press(Key::escape);
    (void)shown.screen.press(Key::home);
    shown.add(look(broker({}), dump({attempt(20, 9), attempt(9, 8)})));
    shown.type("c");
    EXPECT_EQ(shown.lines().back(), "cancel task 20? y/n") << "at the top it stays at the top";
}

TEST(TopScreen, TheSelectedRowIsOnTheScreen) {
    Shown shown;
    (void)shown.screen.press(Key::tab);
    std::vector<json> attempts;
    for (unsigned i = 1; i <= 50; ++i) attempts.push_back(attempt(i, 100 - i));
    shown.add(look(broker({}), dump(attempts)));
    (void)shown.lines();
    (void)shown.screen.press(Key::end);
    EXPECT_EQ(style_of(shown.screen.draw(80, 24), "9-50"), Style::selected);
    EXPECT_TRUE(shown.line_with("9-1 ").empty());
    (void)shown.screen.press(Key::page_up);
    EXPECT_EQ(style_of(shown.screen.draw(80, 24), "9-41"), Style::selected);
    (void)shown.screen.press(Key::home);
    EXPECT_FALSE(shown.line_with("9-1 ").empty());
}

TEST(TopScreen, NothingFromTheDataReachesTheTerminalAsAControl) {
    Shown shown;
    const std::string evil =
        "w\x1b[2J\r\n\x07\xc2\x9b"
        "31m\xe2\x80\xae";
    json bad = broker({entry(evil)});
    bad["version"] = bad["name"] = evil;
    bad["workers"][0]["pool"] = bad["workers"][0]["state"] = evil;
    json row = attempt(1, 3, evil);
    row["id"] = row["state"] = row["pid"] = evil;
    Look what = look(bad, dump({row}));
    what.dump["groups"][0]["state"] = evil;
    what.stats.emplace_back(evil, nullptr);
    what.stats.emplace_back("x\xff\x1b", nullptr);
    shown.add(what);
    shown.screen.say(evil);
    const auto is_control = [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; };
    for (const std::string& line : shown.lines(200, 40)) {
        EXPECT_TRUE(std::ranges::none_of(line, is_control)) << line;
        EXPECT_FALSE(has(line, "\xc2\x9b") || has(line, "\xe2\x80\xae")) << line;
    }
    EXPECT_TRUE(has(shown.lines().back(), "w?[2J????31m?")) << shown.lines().back();
}

TEST(TopScreen, BeginsWithTheNameOfTheGroupWhereItWasSaid) {
    Shown unnamed, named{.screen = TopScreen(false, 1s, "Köln-\x1b[2J")};
    for (Shown* shown : {&unnamed, &named}) shown->add(look());
    EXPECT_TRUE(unnamed.lines().front().starts_with("curfew  ")) << unnamed.lines().front();
    EXPECT_TRUE(named.lines().front().starts_with("K?ln-?[2J  ")) << named.lines().front();
}

TEST(TopScreen, WithoutUtf8ThereIsOnlyAscii) {
    Shown shown{.screen = TopScreen(false, 1s)};
    shown.add(look(broker({entry("Kölner-東京")})));
    for (const std::string& line : shown.lines(140, 45)) {
        EXPECT_TRUE(std::ranges::all_of(line, [](char c) { return c >= ' ' && c <= '~'; })) << line;
    }
    EXPECT_FALSE(shown.line_with("K?lner-??").empty());
}

TEST(TopScreen, TheChartShowsWhatWasInFlightAndGaps) {
    Shown shown;
    for (const std::uint64_t in_flight : {1U, 8U, 0U}) shown.add(look(broker({}, 10, in_flight)));
    shown.add({{{"broker", nullptr}, {"w1", worker()}}, nullptr});
    shown.add(look(broker({}, 10, 8)));
    EXPECT_TRUE(shown.lines()[5].starts_with("        8 ")) << shown.lines()[5];
    EXPECT_TRUE(shown.lines()[5].ends_with(" █  █")) << shown.lines()[5];
    EXPECT_TRUE(shown.lines()[7].ends_with("▃█  █")) << shown.lines()[7];
}

TEST(TopScreen, TheChartBeginsWhereTheGroupBegan) {
    Shown shown;
    for (int i = 0; i < 3; ++i) shown.add({});
    shown.add(look(broker({}, 10, 8)));
    EXPECT_TRUE(shown.lines()[5].ends_with("  █")) << shown.lines()[5];
    const Look nobody{{{"broker", nullptr}, {"collector", nullptr}}, nullptr};
    for (int i = 0; i < 3; ++i) shown.add(nobody);
    EXPECT_TRUE(shown.lines()[5].ends_with("  █")) << "it ended: nothing moves";
    for (const std::uint64_t in_flight : {4U, 2U}) {
        json next = broker({}, 10, in_flight);
        next["incarnation"] = 6;
        shown.add(look(next));
    }
    EXPECT_TRUE(shown.lines()[5].starts_with("        4 ")) << "another group: " << shown.lines()[5];
    EXPECT_TRUE(shown.lines()[5].ends_with("  █ ")) << shown.lines()[5];
}

TEST(TopScreen, AGroupThatOnlyStoodStillGoesOn) {
    Shown shown;
    shown.add(look(broker({entry("w1", 7, 3)}, 10, 8)));
    shown.add({{{"broker", nullptr}, {"collector", nullptr}, {"w1", nullptr}}, nullptr});
    EXPECT_TRUE(has(shown.text(), "ended"));
    shown.add(look(broker({entry("w1", 7, 3)}, 10, 8)));
    EXPECT_FALSE(has(shown.text(), "ended"));
    EXPECT_TRUE(shown.lines()[5].ends_with("██")) << shown.lines()[5];
}

TEST(TopScreen, PausesAndChangesItsInterval) {
    Shown shown;
    shown.add(look());
    shown.type(" ");
    EXPECT_TRUE(shown.screen.paused());
    EXPECT_TRUE(has(shown.lines().front(), "PAUSED"));
    shown.type(" +");
    EXPECT_FALSE(shown.screen.paused());
    EXPECT_EQ(shown.screen.every(), 2s);
    shown.type("----------");
    EXPECT_EQ(shown.screen.every(), 200ms);
    shown.type("++++++++++++");
    EXPECT_EQ(shown.screen.every(), 60s);
}

TEST(TopScreen, HelpListsTheKeysUntilTheNextOne) {
    Shown shown;
    shown.add(look());
    shown.type("?");
    for (const char* key : {"  q ", "  Tab ", "  s ", "  r ", "  / ", "  c ", "  Space ", "  + - "})
        EXPECT_FALSE(shown.line_with(key).empty()) << key;
    EXPECT_FALSE(shown.screen.press(Key::character, 'x').quit);
    EXPECT_TRUE(has(shown.text(), "WORKERS"));
    EXPECT_TRUE(shown.screen.press(Key::character, 'q').quit);
}

TEST(TopScreen, OnceShowsAllUpTo24RowsOfATable) {
    Shown shown;
    std::vector<json> workers, attempts;
    for (unsigned i = 1; i <= 30; ++i) {
        workers.push_back(entry(fmt::format("w{}", i)));
        attempts.push_back(attempt(i, 40 - i));
    }
    shown.add(look(broker(workers), dump(attempts)));
    const auto lines = shown.screen.draw_once(80);
    EXPECT_EQ(lines.size(), 6U + 2 + 24 + 2 + 24);
    for (const Line& line : lines) EXPECT_LE(columns_of(plain_text(line)), 80);
    EXPECT_TRUE(has(plain_text(lines.back()), "9-24"));
}

}  // namespace
}  // namespace curfew
