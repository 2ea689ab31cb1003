// How a service's answers decide whether it is asked.
#include "worker/handlers/http/backend.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "common/look/json_object.h"

namespace curfew {
namespace {

using namespace std::chrono_literals;
using Service = HttpEnd::Service;

constexpr Slot kSlots = 64;

class BackendTest : public testing::Test {
protected:
    void ends(Service service, unsigned times = 1) {
        for (; times > 0; --times) backend_.ended(now_, now_, {.service = service, .work = {}});
    }
    [[nodiscard]] bool is_held() const { return backend_.open_slots(now_) == 0; }

    Instant now_{1h};
    Backend backend_{"h:80", kSlots};
};

TEST_F(BackendTest, IsHeldAfterAsManyRefusalsInARowAsTheBreakerTakes) {
    ends(Service::refused, Breaker::kRefusals - 1);
    ends(Service::answered);
    ends(Service::refused, Breaker::kRefusals - 1);
    EXPECT_FALSE(is_held());
    ends(Service::refused);
    EXPECT_TRUE(is_held());
}

TEST_F(BackendTest, ThatDidNotTakeWhatSharedItsConnectionsIsAskedAgainAtOnce) {
    ends(Service::not_taken, kSlots);
    EXPECT_FALSE(is_held());
    ends(Service::answered);
    ends(Service::not_taken, kSlots);
    EXPECT_FALSE(is_held());
}

TEST_F(BackendTest, SaysWhyItIsHeld) {
    HttpEnd end{.service = Service::wait, .wait_for = 2s, .status = 503, .work = {}};
    end.work.error = "status 503: busy";
    backend_.ended(now_, now_, end);
    JsonObject stats;
    backend_.add_stats(now_, stats);
    const auto said = nlohmann::json::parse(stats.text());
    EXPECT_EQ(said["last_refusal"], "status 503: busy (it asks to come later: Retry-After)");
    EXPECT_EQ(said["held_for_s"], 2.0);
}

TEST_F(BackendTest, ThatTakesNothingIsHeld) {
    ends(Service::not_taken, kSlots + Breaker::kRefusals);
    EXPECT_TRUE(is_held());
}

}  // namespace
}  // namespace curfew
