#include "collector/sinks/outcome_rows.h"

#include <stdexcept>

#include "collector/sinks/sink.h"

namespace curfew {
namespace {

constexpr std::size_t kKeptBytes = 1 << 20, kKeptRows = 16384;

}  // namespace

void OutcomeRows::add(Row& row, Text text, std::string_view bytes) {
    row.sizes[text] = static_cast<std::uint32_t>(bytes.size());
    bytes_.append(bytes);
}

void OutcomeRows::put(const OutcomeRecord& outcome) {
    Row& row = rows_.emplace_back();
    row.epoch = outcome.epoch;
    row.seq = outcome.seq;
    row.sync = outcome.sync;
    row.latency_us = outcome.latency_us;
    row.attempt = outcome.attempt;
    row.attempts = outcome.attempts;
    row.outcome = outcome.outcome;
    row.begin = bytes_.size();
    row.sizes.fill(Row::kNull);
    const bool completed = outcome.outcome == Outcome::completed;
    if (outcome.id) add(row, id, *outcome.id);
    if (completed) add(row, result, outcome.result.view());
    if (!completed) add(row, error, outcome.error);
    if (outcome.attempt != 0) {
        add(row, worker, outcome.worker);
        add(row, pool, outcome.pool);
    }
    if (completed) return;
    if (outcome.attempt == 0) {  // else the attempt that decided says it all
        std::string list;
        append_history(list, outcome);
        add(row, history, list);
    }
    if (outcome.refused_number != 0) add(row, refused, place_of_refused(outcome));
    add(row, message, outcome.message);
}

void OutcomeRows::clear() {
    rows_.clear();
    bytes_.clear();
    if (bytes_.capacity() > kKeptBytes) std::string().swap(bytes_);
    if (rows_.capacity() > kKeptRows) std::vector<Row>().swap(rows_);
}

}  // namespace curfew
