#include "worker/handlers/answers.h"

#include <algorithm>
#include <chrono>
#include <nlohmann/json.hpp>

#include "common/look/json_object.h"
#include "worker/handlers/exec_end.h"

namespace curfew {
namespace {

constexpr std::size_t kExcerpt = 80;

/// The beginning of what it said, fit for a line.
std::string excerpt(std::string_view text) {
    std::string out(text.substr(0, kExcerpt));
    std::ranges::replace_if(
        out, [](unsigned char c) { return c < ' ' || c == 0x7f; }, ' ');
    return "'" + out + (text.size() > kExcerpt ? "...'" : "'");
}

/// Discarded where it is no JSON, or nested so deep that to take it apart again would need all of
/// the stack.
nlohmann::json parse(std::string_view text) {
    constexpr int kDeepest = 100;
    bool too_deep = false;
    const auto keep = [&](int depth, nlohmann::json::parse_event_t, nlohmann::json&) {
        too_deep = too_deep || depth > kDeepest;
        return !too_deep;
    };
    auto parsed = nlohmann::json::parse(text, keep, false);
    return too_deep ? nlohmann::json(nlohmann::json::value_t::discarded) : parsed;
}

std::string text_of(const nlohmann::json& value) {
    return value.is_string() ? value.get<std::string>() : value.dump();
}

}  // namespace

std::string json_question(Instant now, const Work& work) {
    JsonObject question;
    question.add("seq", work.seq).add("attempt", work.ordinal);
    if (work.deadline_at != kNever) {
        const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(work.deadline_at - now);
        question.add("deadline_ms", std::max<std::int64_t>(0, left.count()));
    }
    return question.add_bytes("message", work.payload).text();
}

WorkEnd end_of_json(Slot slot, Seq seq, std::string_view answer, bool& in_its_senses) {
    WorkEnd end{.slot = slot, .finish = Finish::failed, .result = {}, .error = {}};
    const auto said = parse(answer);
    const auto has = [&](const char* name) { return said.is_object() && said.contains(name); };
    in_its_senses = false;
    if (has("seq") && said["seq"] != seq) {
        end.error = "its answer is for another message: seq " + said["seq"].dump() + ", not " + std::to_string(seq);
        return end;
    }
    if (int{has("ok")} + int{has("failed")} + int{has("rejected")} != 1) {
        end.error = "its answer is none of {\"ok\":..}, {\"failed\":..} and {\"rejected\":..}: " + excerpt(answer);
        return end;
    }
    in_its_senses = true;
    if (has("ok")) {
        end.finish = Finish::ok;
        end.result = text_of(said["ok"]);
        return end;
    }
    if (has("rejected")) end.finish = Finish::rejected;
    end.error = text_of(said[has("failed") ? "failed" : "rejected"]);
    return end;
}

WorkEnd end_without_answer(const ExecOptions& options, Slot slot, const DoneBody& done, std::string_view note) {
    const std::string name = "'" + options.command.front() + "'";
    switch (done.cause) {
        case Cause::broken:
            return {.slot = slot,
                    .finish = Finish::failed,
                    .result = {},
                    .error = name + " said what it was not asked for, or what is no frame: " + excerpt(note)};
        case Cause::stopped: {
            const bool silent = !note.empty();
            return {
                .slot = slot,
                .finish = Finish::stopped,
                .result = {},
                .error = silent ? name + " has answered nothing: does it buffer its stdout (flush; python -u)?" : ""};
        }
        case Cause::finished:
        case Cause::closed: {
            // As of a command that is run once, which no code makes a result
            ExecOptions strict;
            strict.ok_exit.clear();
            WorkEnd end = end_of_run(strict, slot, {.exit_code = done.exit_code, .signal = done.signal}, note, {});
            end.error = name + " has ended before it had answered: " + end.error;
            return end;
        }
        default: return end_of_run(options, slot, done, note, {});
    }
}

}  // namespace curfew
