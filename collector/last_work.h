// What workers have told of attempts whose tasks are still open: of each task the last that came. A
// verdict comes from the broker, which knows no more of an attempt than how it ended. Pure.
//
// Memory: an entry for each task in flight of which an attempt has failed; what they said on stderr
// has a bound together, beyond which it is left out.
#pragma once

#include <cstddef>
#include <map>
#include <memory>
#include <utility>

#include "collector/outcome_record.h"
#include "common/words/vocabulary.h"

namespace curfew {

class LastWork {
public:
    explicit LastWork(std::size_t most_bytes = 16U << 20) : most_bytes_(most_bytes) {}

    void keep(Seq seq, std::unique_ptr<ToldWork> work) {
        forget(seq);
        if (bytes_ + work->errors.size() > most_bytes_) work->errors.clear();
        bytes_ += work->errors.size();
        by_seq_[seq] = std::move(work);
    }
    /// Null: there is none. The task is decided, and it is forgotten.
    [[nodiscard]] std::unique_ptr<ToldWork> take(Seq seq) {
        const auto at = by_seq_.find(seq);
        if (at == by_seq_.end()) return nullptr;
        std::unique_ptr<ToldWork> work = std::move(at->second);
        bytes_ -= work->errors.size();
        by_seq_.erase(at);
        return work;
    }
    void forget(Seq seq) {
        if (!by_seq_.empty()) (void)take(seq);
    }
    void clear() {
        by_seq_.clear();
        bytes_ = 0;
    }
    [[nodiscard]] std::size_t size() const { return by_seq_.size(); }

private:
    const std::size_t most_bytes_;
    std::size_t bytes_ = 0;  // of stderr
    std::map<Seq, std::unique_ptr<ToldWork>> by_seq_;
};

}  // namespace curfew
