// Attempts of one task that start together at several workers are written once: one frame, which
// goes to each of them. A race costs the broker one copy of the message, however many run it.
//
// There is a batch for each set of workers that tasks have gone to lately; a task joins the last
// record of its batch if it differs from the one before in seq, numbers and payload alone. Pure.
// Memory: kMost batches, and the frames of a turn.
#pragma once

#include <cstdint>
#include <vector>

#include "common/wire/frame.h"
#include "common/wire/wire.h"
#include "common/wire/wire_writer.h"
#include "common/words/vocabulary.h"

namespace curfew {

class SharedBatches {
public:
    struct Out {
        std::vector<Session> sessions;
        Frame bytes;
    };

    explicit SharedBatches(Incarnation broker) : broker_(broker) {}

    /// `task` without what differs between the workers (number, ordinal), and without an id.
    void add(const std::vector<wire::Addressee>& to, const wire::Task& task);
    /// The frames since the last flush.
    [[nodiscard]] std::vector<Out> flush();

private:
    static constexpr std::size_t kMost = 64;

    struct Batch {
        std::vector<wire::Addressee> to;  // with the numbers of the last task
        wire::Task last;                  // its payload is not to be looked at
        bool goes_on = false;             // the last record may take another task
        wire::Writer writer;
    };
    Batch& batch_of(const std::vector<wire::Addressee>& to);
    void finish(Batch& batch);

    Incarnation broker_;
    std::vector<Batch> batches_;
    std::size_t next_to_go_ = 0;
    std::vector<Out> out_;
};

}  // namespace curfew
