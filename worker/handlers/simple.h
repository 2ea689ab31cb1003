// Handlers without work: echo and fail end at once, sleep ends after a while. For trying things
// out, for tests and benches.
#pragma once

#include <map>
#include <optional>
#include <random>
#include <string>
#include <string_view>

#include "worker/handlers/handler.h"

namespace curfew {

/// The message is the result; or, for `fail`, every attempt fails.
class ImmediateHandler final : public Handler {
public:
    explicit ImmediateHandler(bool fails) : fails_(fails) {}
    void run(const Work&, WorkEnd& end) override {
        end.finish = fails_ ? Finish::failed : Finish::ok;
        end.echo = true;
        if (fails_) end.error = "fails always";
    }
    bool immediate() const override { return true; }
    void start(Instant, Slot, const Work&) override {}
    void stop(Instant, Slot) override {}
    void turn(Instant, std::vector<WorkEnd>&) override {}
    bool can_kill() const override { return true; }

private:
    bool fails_;
};

/// How long a sleep takes: `5ms`, `exp:5ms` (exponential, that mean), `tail:1ms:100ms:1%` (1 ms, in
/// 1% of attempts 100 ms).
class SleepShape {
public:
    /// None if the text is not one.
    [[nodiscard]] static std::optional<SleepShape> parse(std::string_view text);
    [[nodiscard]] Duration draw(std::mt19937_64& random) const;

private:
    bool exponential_ = false;
    Duration usual_{};
    Duration tail_{};
    double tail_share_ = 0;
};

/// The message is the result, after a sleep that a stop ends at once.
class SleepHandler final : public Handler {
public:
    SleepHandler(const SleepShape& shape, std::uint64_t seed) : shape_(shape), random_(seed) {}
    void start(Instant now, Slot slot, const Work& work) override;
    void stop(Instant now, Slot slot) override;
    void turn(Instant now, std::vector<WorkEnd>& ends) override;
    Instant next_deadline() const override;
    bool can_kill() const override { return true; }

private:
    SleepShape shape_;
    std::mt19937_64 random_;
    std::map<Slot, Instant> sleeps_;  // when each ends
    std::multimap<Instant, Slot> by_end_;
    std::vector<WorkEnd> ends_;
};

}  // namespace curfew
