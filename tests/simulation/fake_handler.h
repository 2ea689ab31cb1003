// Work as the simulation has it: it takes virtual time, fails, rejects, is deaf to its stop, as the
// seed says. It keeps an oracle's record of its own: which attempts were started, and which still
// run.
#pragma once

#include <map>
#include <random>
#include <set>
#include <string>

#include "worker/handlers/breaker.h"
#include "worker/handlers/handler.h"

namespace curfew::simulation {

struct WorkShape {
    double failing = 0;  ///< share of attempts that fail
    double rejecting = 0;
    double endless = 0;  ///< never end by themselves
    double deaf = 0;     ///< end only at stop + grace, killed
    double stuck = 0;    ///< do not end by themselves, and at a kill only seconds later
    /// Refused by the service, which asks for a pause of that length: they end as not begun.
    double refusing = 0;
    Duration pause = Breaker::kShortestWait;
    Duration typical = std::chrono::milliseconds(2);
    Duration grace = std::chrono::milliseconds(200);
};

/// The right answer to a message.
inline std::string answer_to(std::string_view payload) {
    return "answer to " + std::string(payload);
}

class FakeHandler : public Handler {
public:
    FakeHandler(const WorkShape& shape, std::uint64_t seed) : shape_(shape), random_(seed) {}

    void start(Instant now, Slot slot, const Work& work) override {
        if (!started_.insert({broker_, work.id}).second) broken_ = "an attempt was started twice";
        if (running_.contains(slot)) broken_ = "a slot was used twice";
        if (called_home_.contains({broker_, work.id})) broken_ = "work was started that had been called home";
        check_pause(now);
        Running running;
        running.id = {broker_, work.id};
        running.began = now;
        running.must_end_at = work.deadline_at == kNever ? kNever : work.deadline_at + shape_.grace;
        running.deadline_at = work.deadline_at;
        running.deaf = chance(shape_.deaf);
        running.stuck = chance(shape_.stuck);
        const double kind = std::uniform_real_distribution<>(0, 1)(random_);
        running.end.slot = slot;
        running.end.result = answer_to(work.payload);
        if (kind < shape_.failing) {
            running.end.finish = Finish::failed;
            running.end.error = "does not work";
        } else if (kind < shape_.failing + shape_.rejecting) {
            running.end.finish = Finish::rejected;
            running.end.error = "never will";
        }
        if (shape_.refusing > 0 && chance(shape_.refusing)) running.end.finish = Finish::returned;
        const Duration length = exponential(shape_.typical);
        running.end_at = chance(shape_.endless) || running.stuck ? kNever : now + length;
        running_.emplace(slot, std::move(running));
        breaker_.begins();
    }

    void stop(Instant now, Slot slot) override {
        const auto at = running_.find(slot);
        if (at == running_.end()) return;
        halt(now, at->second);
    }

    void turn(Instant now, std::vector<WorkEnd>& ends) override {
        looked_at_ = now;
        for (auto at = running_.begin(); at != running_.end();) {
            if (at->second.deadline_at <= now) halt(at->second.deadline_at, at->second);
            if (at->second.end_at <= now) {
                note_service(now, at->second);
                ends.push_back(std::move(at->second.end));
                at = running_.erase(at);
            } else {
                ++at;
            }
        }
    }

    [[nodiscard]] Instant next_deadline() const override {
        Instant next = breaker_.next_deadline(looked_at_);
        for (const auto& [slot, running] : running_)
            next = std::min({next, running.end_at, running.stopped ? kNever : running.deadline_at});
        return next;
    }
    [[nodiscard]] bool can_kill() const override { return true; }
    [[nodiscard]] Slot open_slots(Instant now) const override { return breaker_.open(now); }

    /// Whose sessions are meant: each life of a broker counts its own.
    void set_broker(Incarnation broker) { broker_ = broker; }
    /// A cancel of this attempt has been read.
    void called_home(AttemptId id) { called_home_.insert({broker_, id}); }

    /// The worker has said that this attempt had not begun.
    void returned(AttemptId id) {
        if (started_.contains({broker_, id}) && !refused_.contains({broker_, id}))
            broken_ = "what had begun was returned";
        called_home_.insert({broker_, id});
    }

    [[nodiscard]] std::size_t started() const { return started_.size(); }
    [[nodiscard]] std::size_t running() const { return running_.size(); }
    [[nodiscard]] const char* broken() const { return broken_; }

private:
    using Id = std::pair<Incarnation, AttemptId>;
    struct Running {
        Id id;
        WorkEnd end;
        Instant began{};
        Instant end_at = kNever;
        Instant deadline_at = kNever;
        Instant must_end_at = kNever;
        bool deaf = false;
        bool stuck = false;
        bool stopped = false;
    };

    /// As handlers with a breaker do.
    void note_service(Instant now, const Running& running) {
        if (running.end.finish == Finish::returned) {
            breaker_.asked_to_wait(now, shape_.pause);
            refused_.insert(running.id);
            asked_until_ = std::max(asked_until_, now + shape_.pause);
            has_answered_ = false;
        }
        if (running.end.finish == Finish::ok) {
            breaker_.answered(running.began);
            has_answered_ = has_answered_ || running.began >= asked_until_;
        }
        breaker_.ends(running.began);
    }
    /// As the service sees it: it is left alone for the time it asked for, and then asked by one.
    void check_pause(Instant now) {
        if (now < asked_until_) broken_ = "work was started in the pause that its service had asked for";
        for (const auto& [slot, other] : running_) {
            if (!has_answered_ && other.began >= asked_until_)
                broken_ = "after a pause a second piece of work was started before the service had answered";
        }
    }
    void halt(Instant now, Running& running) {
        if (running.stopped) return;
        running.stopped = true;
        Instant stops_at = now + (running.deaf ? shape_.grace : Duration(std::chrono::microseconds(50)));
        if (running.stuck) stops_at = now + shape_.grace + exponential(std::chrono::seconds(2));
        if (running.end_at <= stops_at) return;
        running.end_at = stops_at;
        running.end.finish = Finish::stopped;
        running.end.result.clear();
        running.end.error.clear();
    }
    Duration exponential(Duration mean) {
        const double length = std::exponential_distribution<>(1.0)(random_);
        return std::chrono::duration_cast<Duration>(std::chrono::duration<double>(mean) * length);
    }
    bool chance(double share) { return std::uniform_real_distribution<>(0, 1)(random_) < share; }

    WorkShape shape_;
    std::mt19937_64 random_;
    std::map<Slot, Running> running_;
    Incarnation broker_ = 0;
    std::set<Id> started_, called_home_;
    std::set<Id> refused_;  // by the service
    Instant asked_until_{};
    bool has_answered_ = true;  // since then
    const char* broken_ = nullptr;
    Breaker breaker_;
    Instant looked_at_{};
};

}  // namespace curfew::simulation
