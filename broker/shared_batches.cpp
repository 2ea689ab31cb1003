#include "broker/shared_batches.h"

#include <algorithm>
#include <utility>

namespace curfew {
namespace {

using wire::kFrameBytes;

bool same_workers(const std::vector<wire::Addressee>& a, const std::vector<wire::Addressee>& b) {
    return std::ranges::equal(a, b, {}, &wire::Addressee::session, &wire::Addressee::session);
}

/// All have moved on by as many numbers, and are still the attempt of the same ordinal.
bool in_step(const std::vector<wire::Addressee>& last, const std::vector<wire::Addressee>& next) {
    const std::uint64_t step = next.front().number - last.front().number;
    return std::ranges::equal(last, next, [&](const wire::Addressee& a, const wire::Addressee& b) {
        return a.ordinal == b.ordinal && b.number > a.number && b.number - a.number == step;
    });
}

}  // namespace

void SharedBatches::add(const std::vector<wire::Addressee>& to, const wire::Task& task) {
    Batch& batch = batch_of(to);
    const wire::Task& last = batch.last;
    const bool joins = batch.goes_on && task.seq > last.seq && task.attempts == last.attempts &&
                       task.left_us == last.left_us && task.age_us == last.age_us && in_step(batch.to, to);
    std::uint64_t numbers = 0, seqs = 0;
    if (joins) {
        numbers = to.front().number - batch.to.front().number - 1;
        seqs = task.seq - last.seq - 1;
    } else {
        batch.writer.begin({to, task.seq, task.attempts, task.left_us, task.age_us, {}});
    }
    batch.writer.add_item(numbers, seqs, task.payload);
    batch.to = to;
    batch.last = task;
    batch.goes_on = true;
    if (batch.writer.size() >= kFrameBytes) finish(batch);
}

SharedBatches::Batch& SharedBatches::batch_of(const std::vector<wire::Addressee>& to) {
    const auto known = std::ranges::find_if(batches_, [&](const Batch& batch) { return same_workers(batch.to, to); });
    if (known != batches_.end()) return *known;
    if (batches_.size() < kMost) return batches_.emplace_back(Batch{to, {}, false, {}});
    Batch& oldest = batches_[next_to_go_++ % kMost];
    finish(oldest);
    oldest.to = to;
    return oldest;
}

void SharedBatches::finish(Batch& batch) {
    batch.goes_on = false;
    if (batch.writer.empty()) return;
    Out& out = out_.emplace_back();
    for (const wire::Addressee& addressee : batch.to) out.sessions.push_back(addressee.session);
    out.bytes = batch.writer.finish({wire::Kind::tasks, broker_, 0, 0, 0});
}

std::vector<SharedBatches::Out> SharedBatches::flush() {
    for (Batch& batch : batches_) finish(batch);
    return std::exchange(out_, {});
}

}  // namespace curfew
