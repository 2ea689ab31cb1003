#include "common/process/answers.h"

#include <algorithm>
#include <utility>

namespace curfew {
namespace {

constexpr Duration kMost = std::chrono::milliseconds(50);  // to save up
constexpr Duration kSlice = std::chrono::milliseconds(1);  // of one turn
constexpr Duration kLookAgain = std::chrono::milliseconds(20);
// Of an answer: for libzmq's thread, the kernel, the reader
constexpr auto kByte = std::chrono::nanoseconds(4);

}  // namespace

void Answers::turn(Instant now, const Begin& begin) {
    allowance_ = std::min(kMost, allowance_ + (now - std::exchange(now_, now)) / share_);
    const Instant until = clock_() + kSlice;
    // What was begun is finished, however much it costs: those who ask next wait for it, not who
    // asked for this.
    for (Instant at = until - kSlice; (reply_ != nullptr || allowance_ > Duration::zero()) && at < until;) {
        if (reply_ == nullptr) {
            std::string_view question;
            if (!socket_.receive(question)) return;
            question_ = question;
        }
        const Duration used_before = used_();
        answer_next(until, begin);
        // Not the time in which a busy machine let others run
        const Duration used = used_() - used_before;
        spent_ += used;
        allowance_ -= used;
        at = clock_();
    }
}

void Answers::answer_next(Instant until, const Begin& begin) {
    if (reply_ == nullptr) {
        if (const Said* said = said_before()) return send(said->answer.copy(), false);
        reply_ = begin(question_);
    }
    if (!reply_->go_on(until, clock_)) return;
    const std::unique_ptr<Reply> whole = std::exchange(reply_, nullptr);
    send(whole->take(), whole->serves_others());
}

void Answers::send(Frame text, bool serves_others) {
    constexpr std::size_t kMostSaid = 4, kLargest = 1 << 20;
    allowance_ -= kByte * static_cast<std::int64_t>(text.size());
    if (!crowded()) {
        said_.clear();
    } else if (serves_others && text.size() <= kLargest) {
        std::erase_if(said_, [&](const Said& said) { return said.question == question_; });
        if (said_.size() == kMostSaid) said_.erase(said_.begin());
        said_.push_back({question_, text.copy(), now_});
    }
    (void)socket_.send(text);
}

bool Answers::crowded() const {
    return allowance_ < kMost / 2;
}

const Answers::Said* Answers::said_before() const {
    if (!crowded()) return nullptr;
    const auto said = std::ranges::find(said_, question_, &Said::question);
    return said != said_.end() && now_ - said->at < std::chrono::seconds(1) ? &*said : nullptr;
}

void Answers::wait_for(Poller& poller, Instant& until) {
    if (reply_ != nullptr) {
        until = now_;
    } else if (allowance_ > Duration::zero()) {
        poller.add(socket_);
    } else {
        until = std::min(until, now_ + kLookAgain);
    }
}

}  // namespace curfew
