// Requests that wait for their turn, called home in any order. Nobody listens where they go.
#include "worker/handlers/http/http.h"

#include <gtest/gtest.h>

#include <set>

#include "common/process/clock.h"

namespace curfew {
namespace {

constexpr Slot kSlots = 2000;

HttpPlan plan() {
    HttpFlags flags;
    flags.url = "http://h/{}";
    flags.unix_socket = "/nonexistent/socket";
    return HttpPlan(flags);
}

class HttpHandlerTest : public testing::Test {
protected:
    void start(Slot slot) { handler_.start(Clock::now(), slot, {.id = {1, slot + 1}, .payload = "m"}); }
    void stop(Slot slot) { handler_.stop(Clock::now(), slot); }
    /// Until so many have ended.
    void turn_until(std::size_t count) {
        for (int turns = 0; ends_.size() < count && turns < 10'000; ++turns) handler_.turn(Clock::now(), ends_);
    }

    HttpHandler handler_{plan(), kSlots, 1000};
    std::vector<WorkEnd> ends_;
};

TEST_F(HttpHandlerTest, EachHasOneEndInWhateverOrderTheyAreCalledHome) {
    for (Slot slot = 0; slot < kSlots; ++slot) start(slot);
    for (Slot slot = 1; slot < kSlots; slot += 2) stop(slot);
    for (Slot slot = 1; slot < kSlots; slot += 2) stop(slot);  // once more means nothing
    turn_until(kSlots);
    ASSERT_EQ(ends_.size(), kSlots);
    std::set<Slot> ended;
    for (const WorkEnd& end : ends_) {
        EXPECT_TRUE(ended.insert(end.slot).second) << end.slot;
        if (end.slot % 2 == 0) {
            EXPECT_EQ(end.finish, Finish::failed) << end.slot;
        }
    }
}

TEST_F(HttpHandlerTest, ASlotThatWasCalledHomeWhileItWaitedIsUsedAgain) {
    for (Slot slot = 0; slot < kSlots; ++slot) start(slot);
    stop(kSlots - 1);
    turn_until(1);
    start(kSlots - 1);
    turn_until(kSlots + 1);
    EXPECT_EQ(ends_.size(), kSlots + 1);
    EXPECT_EQ(ends_.back().slot, kSlots - 1) << "it waits behind those that came before it";
}

}  // namespace
}  // namespace curfew
