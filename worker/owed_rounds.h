// The rounds that a worker has to answer: of the token, and of recalls. An answer follows all
// reports that were made before it, so whoever hears the answer has heard those. Each is given
// once; a newer token takes the place of an older one, and what a session has not answered ends
// with it. Pure. Memory: a number for each recall of a turn.
#pragma once

#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

namespace curfew {

class OwedRounds {
public:
    void token(std::uint64_t round) { token_ = round; }
    void recall(std::uint64_t round) { recalls_.push_back(round); }
    void forget() { *this = {}; }
    [[nodiscard]] bool none() const { return !token_ && recalls_.empty(); }

    /// The reports are written: calls answer_recall(round) for each, then answer_token(round).
    template <typename AnswerRecall, typename AnswerToken>
    void answer(AnswerRecall&& answer_recall, AnswerToken&& answer_token) {
        for (const std::uint64_t round : recalls_) answer_recall(round);
        recalls_.clear();
        if (const auto round = std::exchange(token_, std::nullopt)) answer_token(*round);
    }

private:
    std::optional<std::uint64_t> token_;
    std::vector<std::uint64_t> recalls_;
};

}  // namespace curfew
