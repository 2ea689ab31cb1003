// As gtest_main, but tests that were skipped are no success: exit code 77 (ctest's
// SKIP_RETURN_CODE) if none failed, and a line for each, which scripts/test puts together.
#include <gtest/gtest.h>

#include <cstdio>
#include <string>

namespace {

constexpr int kSkipped = 77;

void say_why(const testing::TestInfo& test) {
    const testing::TestResult& result = *test.result();
    for (int i = 0; i < result.total_part_count(); ++i) {
        const testing::TestPartResult& part = result.GetTestPartResult(i);
        if (!part.skipped()) continue;
        std::string why = part.message();
        for (char& c : why) c = c == '\n' ? ' ' : c;
        std::printf("skipped: %s.%s: %s\n", test.test_suite_name(), test.name(), why.c_str());
    }
}

}  // namespace

int main(int argc, char** argv) {
    testing::InitGoogleTest(&argc, argv);
    const int code = RUN_ALL_TESTS();
    const testing::UnitTest& all = *testing::UnitTest::GetInstance();
    if (code != 0 || all.skipped_test_count() == 0) return code;
    for (int i = 0; i < all.total_test_suite_count(); ++i) {
        const testing::TestSuite& suite = *all.GetTestSuite(i);
        for (int j = 0; j < suite.total_test_count(); ++j) {
            const testing::TestInfo& test = *suite.GetTestInfo(j);
            if (test.should_run() && test.result()->Skipped()) say_why(test);
        }
    }
    return kSkipped;
}
