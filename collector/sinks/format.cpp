// Outcomes as text: raw (the result, a newline) and JSON (one line each).
#include <fmt/format.h>

#include <iterator>

#include "collector/sinks/sink.h"
#include "common/look/json_object.h"
#include "common/wire/wire.h"

namespace curfew {
namespace {

/// `"name":"..."`, or `"name_base64":"..."`.
std::string member(const char* name, std::string_view bytes) {
    return JsonObject().add_bytes(name, bytes).members();
}

}  // namespace

std::string place_of_refused(const OutcomeRecord& outcome) {
    const bool has_offset = outcome.refused_byte != wire::kNoOffset;
    const std::string offset = has_offset ? fmt::format(R"("byte":{},)", outcome.refused_byte) : "";
    return fmt::format(R"({{"{}":{},{}"size":{}}})", has_offset ? "line" : "frame", outcome.refused_number, offset,
                       outcome.refused_size);
}

void append_history(std::string& out, const OutcomeRecord& outcome) {
    out += '[';
    const char* comma = "";
    for (const PastAttemptText& past : outcome.history) {
        fmt::format_to(std::back_inserter(out), R"({}{{"attempt":{},{},"end":"{}",{}}})", std::exchange(comma, ","),
                       past.ordinal, member("worker", past.worker), name_of(past.end), member("error", past.error));
    }
    out += ']';
}

void append_raw(std::string& out, const OutcomeRecord& outcome) {
    if (outcome.outcome != Outcome::completed) return;
    out += outcome.result.view();
    out += '\n';
}

void append_json(std::string& out, const OutcomeRecord& outcome) {
    fmt::format_to(std::back_inserter(out), R"({{"seq":{},{},"outcome":"{}",)", outcome.seq,
                   outcome.id ? member("id", *outcome.id) : R"("id":null)", name_of(outcome.outcome));
    out += outcome.outcome == Outcome::completed ? member("result", outcome.result.view())
                                                 : member("error", outcome.error);
    if (outcome.attempt != 0) {
        fmt::format_to(std::back_inserter(out), R"(,{},{},"attempt":{})", member("worker", outcome.worker),
                       member("pool", outcome.pool), outcome.attempt);
    }
    fmt::format_to(std::back_inserter(out), R"(,"attempts":{},"latency_us":{})", outcome.attempts, outcome.latency_us);
    if (outcome.outcome != Outcome::completed && outcome.attempt == 0) {
        out += R"(,"history":)";
        append_history(out, outcome);
    }
    if (outcome.refused_number != 0) out += R"(,"refused":)" + place_of_refused(outcome);
    if (outcome.outcome != Outcome::completed) {
        fmt::format_to(std::back_inserter(out), R"(,"task":"{}-{}",)", outcome.epoch, outcome.seq);
        out += member("message", outcome.message);
    }
    out += "}\n";
}

}  // namespace curfew
