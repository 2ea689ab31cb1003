// Flags: plain decimal numbers, durations with a unit, and a precedence that holds. Everything else
// is refused with a reason.
#include "common/process/options.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <map>
#include <nlohmann/json.hpp>
#include <string>

#include "common/words/exit_code.h"
#include "tests/support/temp_dir.h"

namespace curfew {
namespace {

using namespace std::chrono_literals;

// ---- single values -----------------------------------------------------------------------------

TEST(ParseCount, TakesPlainDecimal) {
    EXPECT_EQ(parse_count("0"), 0U);
    EXPECT_EQ(parse_count("42"), 42U);
    EXPECT_EQ(parse_count("18446744073709551615"), UINT64_MAX);
}

TEST(ParseCount, RefusesEverythingElse) {
    for (const char* text :
         {"", "010", "00", "0x10", "-1", "+1", "1e3", "1.0", " 1", "1 ", "1k", "18446744073709551616", "one"}) {
        EXPECT_EQ(parse_count(text), std::nullopt) << text;
    }
}

TEST(ParseDuration, NeedsAUnit) {
    EXPECT_EQ(parse_duration("7us"), 7us);
    EXPECT_EQ(parse_duration("20ms"), 20ms);
    EXPECT_EQ(parse_duration("1.5s"), 1500ms);
    EXPECT_EQ(parse_duration("2m"), 2min);
    EXPECT_EQ(parse_duration("1h"), 1h);
    EXPECT_EQ(parse_duration("0.000001s"), 1us);
    EXPECT_EQ(parse_duration("0"), 0s) << "nothing is nothing in any unit";
    EXPECT_EQ(parse_duration("0ms"), 0s);
}

TEST(ParseDuration, RefusesEverythingElse) {
    for (const char* text : {"", "5", "s", "-1s", "+1s", "1e3s", "05s", "1.s", ".5s", "1,5s", "1 s", "1s ", "1S", "1d",
                             "1.2.3s", "nan", "1000000000h", "99999999999s"}) {
        EXPECT_EQ(parse_duration(text), std::nullopt) << text;
    }
}

TEST(ParseSize, HasPowersOf1024) {
    EXPECT_EQ(parse_size("4096"), 4096U);
    EXPECT_EQ(parse_size("64k"), 65536U);
    EXPECT_EQ(parse_size("1M"), 1U << 20);
    EXPECT_EQ(parse_size("2g"), 2ULL << 30);
    for (const char* text : {"", "k", "1kb", "-1", "010", "1.5m", "99999999g", "1 k"}) {
        EXPECT_EQ(parse_size(text), std::nullopt) << text;
    }
}

TEST(ParseShare, IsAPercentageOrAFraction) {
    EXPECT_DOUBLE_EQ(parse_share("5%").value(), 0.05);
    EXPECT_DOUBLE_EQ(parse_share("0.05").value(), 0.05);
    EXPECT_DOUBLE_EQ(parse_share("0").value(), 0.0);
    EXPECT_DOUBLE_EQ(parse_share("12.5%").value(), 0.125);
    EXPECT_DOUBLE_EQ(parse_share("150%").value(), 1.5);
    for (const char* text : {"", "%", "-5%", "5%%", "1e-2", "five", "5 %"})
        EXPECT_EQ(parse_share(text), std::nullopt) << text;
}

TEST(TextOf, IsWhatParseDurationReads) {
    for (const Duration duration :
         {Duration(0s), Duration(7us), Duration(20ms), Duration(1500ms), Duration(30s), Duration(2h)}) {
        EXPECT_EQ(parse_duration(text_of(duration)), duration) << text_of(duration);
    }
    EXPECT_EQ(text_of(1500ms), "1500ms");
    EXPECT_EQ(text_of(30s), "30s");
}

// ---- options -----------------------------------------------------------------------------------

/// A program with one flag of each sort.
struct Program {
    Options options{"program", "Tries things."};
    std::uint64_t count = 2;
    std::uint64_t size = 4096;
    Duration duration = 30s;
    std::string text = "default";
    std::string word = "raw";
    bool flag = false;
    std::vector<int> codes{0};
    std::string token = "{}";
    std::vector<std::string> command;
    std::string said;

    Program() {
        options.count("--fan-out", count, 1, 64, "");
        options.size("--bytes", size, 1, 1 << 20, "");
        options.duration("--deadline", duration, 1ms, 1h, "");
        options.text("--name", text, "");
        options.choice("--format", word, {"raw", "json"}, "");
        options.flag("--quiet", flag, "");
        options.exit_codes("--ok-exit", codes, "");
        options.lettered('I', "--token", token, "");
        options.command(command, "");
    }
    std::optional<int> parse(std::vector<const char*> arguments) {
        arguments.insert(arguments.begin(), "program");
        testing::internal::CaptureStderr();
        testing::internal::CaptureStdout();
        const auto code = options.parse(static_cast<int>(arguments.size()), arguments.data());
        said = testing::internal::GetCapturedStdout() + testing::internal::GetCapturedStderr();
        return code;
    }
};

TEST(Options, DefaultsStayWhereNothingIsSaid) {
    Program program;
    EXPECT_EQ(program.parse({}), std::nullopt);
    EXPECT_EQ(program.count, 2U);
    EXPECT_EQ(program.text, "default");
    EXPECT_FALSE(program.flag);
}

TEST(Options, EachSortIsRead) {
    Program program;
    EXPECT_EQ(program.parse({"--fan-out", "3", "--bytes=64k", "--deadline", "1.5s", "--name", "n", "--format", "json",
                             "--quiet", "--ok-exit", "0,10,255"}),
              std::nullopt);
    EXPECT_EQ(program.count, 3U);
    EXPECT_EQ(program.size, 65536U);
    EXPECT_EQ(program.duration, 1500ms);
    EXPECT_EQ(program.text, "n");
    EXPECT_EQ(program.word, "json");
    EXPECT_TRUE(program.flag);
    EXPECT_EQ(program.codes, (std::vector<int>{0, 10, 255}));
}

TEST(Options, WrongUsageIsExit64AndNamesTheFlag) {
    const std::vector<std::vector<const char*>> wrong{
        {"--fan-out", "0"},    {"--fan-out", "65"}, {"--fan-out", "010"}, {"--bytes", "2m"},
        {"--deadline", "5"},   {"--deadline", "0"}, {"--format", "xml"},  {"--ok-exit", "256"},
        {"--ok-exit", "1,,2"}, {"--fan-out"},       {"--nonsense", "1"},  {"--fan-out", "-1"},
    };
    for (const auto& arguments : wrong) {
        Program program;
        EXPECT_EQ(program.parse(arguments), int{kExitUsage}) << arguments[0];
        EXPECT_NE(program.said.find(arguments[0]), std::string::npos) << program.said;
        EXPECT_NE(program.said.find("program --help"), std::string::npos) << "says what to do";
    }
}

TEST(Options, CheckJudgesAndIsAsked) {
    Program program;
    EXPECT_EQ(program.parse({"--check", "--fan-out", "3"}), std::nullopt);
    EXPECT_TRUE(program.options.only_checks());
    EXPECT_EQ(Program().parse({"--check", "--fan-out", "many"}), int{kExitUsage});
    Program other;
    EXPECT_EQ(other.parse({"--fan-out", "3"}), std::nullopt);
    EXPECT_FALSE(other.options.only_checks());
}

TEST(Options, EachFlagIsDescribedWithItsDefaultAndLimits) {
    Program program;
    const auto said = nlohmann::json::parse(program.options.describe().text());
    EXPECT_EQ(said["program"], "program");
    std::map<std::string, nlohmann::json> flags;
    for (const auto& flag : said["flags"]) flags[flag["flag"]] = flag;
    EXPECT_EQ(flags["--fan-out"]["kind"], "count");
    EXPECT_EQ(flags["--fan-out"]["least"], 1);
    EXPECT_EQ(flags["--fan-out"]["most"], 64);
    EXPECT_EQ(flags["--fan-out"]["default"], "2");
    EXPECT_EQ(flags["--deadline"]["least"], 1000) << "microseconds";
    EXPECT_EQ(flags["--format"]["words"], (nlohmann::json{"raw", "json"}));
}

TEST(Options, WhatIsMistypedGetsASuggestion) {
    Program program;
    EXPECT_EQ(program.parse({"--fanout", "3"}), int{kExitUsage});
    EXPECT_NE(program.said.find("unknown option --fanout; did you mean --fan-out?"), std::string::npos) << program.said;
}

TEST(Options, AFormerFlagIsTakenAndNothingSaysIt) {
    Program program;
    bool former = false;
    program.options.former_flag("--loud", former);
    EXPECT_EQ(program.options.describe().text().find("loud"), std::string::npos);
    EXPECT_EQ(program.parse({"--loud"}), std::nullopt);
    EXPECT_TRUE(former);
    Program asked;
    asked.options.former_flag("--loud", former);
    EXPECT_EQ(asked.parse({"--help"}), 0);
    EXPECT_EQ(asked.said.find("loud"), std::string::npos) << asked.said;
}

TEST(Options, HelpAndVersionEndWell) {
    EXPECT_EQ(Program().parse({"--help"}), 0);
    Program program;
    EXPECT_EQ(program.parse({"--version"}), 0);
    EXPECT_NE(program.said.find("program "), std::string::npos);
}

TEST(Options, WhatStandsBehindTheDashesIsTheCommandWhateverItLooksLike) {
    Program program;
    EXPECT_EQ(program.parse({"--fan-out", "3", "--", "sh", "-c", "--fan-out", "9"}), std::nullopt);
    EXPECT_EQ(program.count, 3U);
    EXPECT_EQ(program.command, (std::vector<std::string>{"sh", "-c", "--fan-out", "9"}));
}

TEST(Options, ACommandIsNeverParsed) {
    const std::vector<const char*> words{"[a,b]", "[]", "", "--", "-x", "--fan-out=9", "a\nb", "\xff\xfe", "{a}", "'"};
    std::vector<const char*> arguments{"--fan-out", "3", "--"};
    arguments.insert(arguments.end(), words.begin(), words.end());
    Program program;
    EXPECT_EQ(program.parse(arguments), std::nullopt);
    EXPECT_EQ(program.command, std::vector<std::string>(words.begin(), words.end()));
    EXPECT_EQ(program.count, 3U);
}

TEST(Options, AWordBeforeTheDashesIsNoCommandAndTheDashesAreNoValue) {
    for (const std::vector<const char*>& arguments : {std::vector<const char*>{"sh", "-c", "x"},
                                                      {"[a,b]", "--", "sh"},
                                                      {"[]", "--", "sh"},
                                                      {"--name", "--", "sh"}}) {
        Program program;
        EXPECT_EQ(program.parse(arguments), int{kExitUsage}) << arguments[0];
    }
}

TEST(Options, ALetterTakesAnyTextButAnEmptyOne) {
    for (const char* token : {"[]", "[a,b]", "-x", "=", "\xff", "{}"}) {
        for (const std::vector<std::string>& words :
             {std::vector<std::string>{"-I", token}, {std::string("--token=") + token}}) {
            std::vector<const char*> arguments;
            for (const std::string& word : words) arguments.push_back(word.c_str());
            Program program;
            EXPECT_EQ(program.parse(arguments), std::nullopt) << program.said;
            EXPECT_EQ(program.token, token);
        }
    }
    EXPECT_EQ(Program().parse({"-I", ""}), int{kExitUsage});
}

class OptionsPrecedence : public testing::Test {
protected:
    ~OptionsPrecedence() override { unsetenv("CURFEW_FAN_OUT"); }
    support::TempDir dir;
};

TEST_F(OptionsPrecedence, TheEnvironmentBeatsTheDefault) {
    setenv("CURFEW_FAN_OUT", "5", 1);
    Program program;
    EXPECT_EQ(program.parse({}), std::nullopt);
    EXPECT_EQ(program.count, 5U);
}

TEST_F(OptionsPrecedence, TheConfigFileBeatsTheEnvironment) {
    setenv("CURFEW_FAN_OUT", "5", 1);
    const std::string config = dir.write("config", "fan-out = 6\n# a remark\nname = \"of the file\"\n");
    Program program;
    EXPECT_EQ(program.parse({"--config", config.c_str()}), std::nullopt) << program.said;
    EXPECT_EQ(program.count, 6U);
    EXPECT_EQ(program.text, "of the file");
}

TEST_F(OptionsPrecedence, TheCommandLineBeatsTheConfigFile) {
    const std::string config = dir.write("config", "fan-out = 6\n");
    Program program;
    EXPECT_EQ(program.parse({"--fan-out", "7", "--config", config.c_str()}), std::nullopt);
    EXPECT_EQ(program.count, 7U);
}

TEST_F(OptionsPrecedence, UnknownFlagsInTheConfigFileAreErrors) {
    const std::string config = dir.write("config", "fan-oot = 6\n");
    EXPECT_EQ(Program().parse({"--config", config.c_str()}), int{kExitUsage});
    EXPECT_EQ(Program().parse({"--config", dir.file("missing").c_str()}), int{kExitUsage});
}

TEST_F(OptionsPrecedence, AWrongValueInTheEnvironmentIsAnError) {
    setenv("CURFEW_FAN_OUT", "many", 1);
    EXPECT_EQ(Program().parse({}), int{kExitUsage});
}

}  // namespace
}  // namespace curfew
