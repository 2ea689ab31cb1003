// Outcomes as text: raw (the result, a newline) and JSON (one line each).
#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>
#include <ctime>
#include <iterator>

#include "collector/sinks/sink.h"
#include "common/look/json_object.h"
#include "common/wire/wire.h"

namespace curfew {
namespace {

/// The year 9999 ends with it: a worker may say any number.
constexpr std::uint64_t kLastSecond = 253'402'300'799;

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

namespace {

struct Form {
    bool is_full = false;
    bool has_result = true;
};

/// The brace, and what both forms have; the message is known of what did not complete, and of what
/// was told in full.
void append_members(std::string& out, const OutcomeRecord& outcome, const Form& form) {
    const bool completed = outcome.outcome == Outcome::completed;
    fmt::format_to(std::back_inserter(out), R"({{"seq":{},{},"outcome":"{}")", outcome.seq,
                   outcome.id ? member("id", *outcome.id) : R"("id":null)", name_of(outcome.outcome));
    if (!completed) out += ',' + member("error", outcome.error);
    if (completed && form.has_result) out += ',' + member("result", outcome.result.view());
    if (outcome.attempt != 0) {
        fmt::format_to(std::back_inserter(out), R"(,{},{},"attempt":{})", member("worker", outcome.worker),
                       member("pool", outcome.pool), outcome.attempt);
    } else if (form.is_full && outcome.work) {
        fmt::format_to(std::back_inserter(out), R"(,{},"attempt":{})", member("worker", outcome.work->worker),
                       outcome.work->attempt);
    }
    fmt::format_to(std::back_inserter(out), R"(,"attempts":{},"latency_us":{})", outcome.attempts, outcome.latency_us);
    if (!completed && outcome.attempt == 0) {
        out += R"(,"history":)";
        append_history(out, outcome);
    }
    if (outcome.refused_number != 0) out += R"(,"refused":)" + place_of_refused(outcome);
    if (!completed || form.is_full)
        fmt::format_to(std::back_inserter(out), R"(,"task":"{}-{}")", outcome.epoch, outcome.seq);
    if (!completed || (form.is_full && outcome.work)) {
        out += ',' + member("message", outcome.message);
    } else if (form.is_full) {
        out += R"(,"message":null)";
    }
}

/// In UTC, with milliseconds.
std::string iso_time(std::uint64_t us) {
    const std::uint64_t seconds = std::min<std::uint64_t>(us / 1'000'000, kLastSecond);
    return fmt::format("{:%FT%T}.{:03}Z", fmt::gmtime(static_cast<std::time_t>(seconds)), us / 1000 % 1000);
}

void append_work(std::string& out, const OutcomeRecord& outcome) {
    const ToldWork none;
    const ToldWork& work = outcome.work ? *outcome.work : none;
    JsonObject told;
    told.add("started", work.began_us != 0 ? std::optional(iso_time(work.began_us)) : std::nullopt)
        .add("run_us", outcome.work ? std::optional(work.run_us) : std::nullopt)
        .add("exit_code", work.exit_code)
        .add("signal", work.signal);
    if (outcome.work) {
        told.add_bytes(work.is_cut() ? "stderr_end" : "stderr", work.errors);
    } else {
        told.add("stderr", std::nullopt);
    }
    out += ',' + told.members();
}

}  // namespace

void append_raw(std::string& out, const OutcomeRecord& outcome) {
    if (outcome.outcome != Outcome::completed) return;
    out += outcome.result.view();
    out += '\n';
}

void append_json(std::string& out, const OutcomeRecord& outcome) {
    append_members(out, outcome, {});
    out += "}\n";
}

void append_json_full(std::string& out, const OutcomeRecord& outcome) {
    append_members(out, outcome, {.is_full = true});
    append_work(out, outcome);
    out += "}\n";
}

void append_json_meta(std::string& out, const OutcomeRecord& outcome) {
    append_members(out, outcome, {.is_full = true, .has_result = false});
    append_work(out, outcome);
    out += "}\n";
}

}  // namespace curfew
