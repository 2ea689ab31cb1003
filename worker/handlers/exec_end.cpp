#include "worker/handlers/exec_end.h"

#include <string.h>

#include <algorithm>
#include <string>
#include <system_error>
#include <vector>

namespace curfew {
namespace {

bool contains(const std::vector<int>& codes, int code) {
    return std::find(codes.begin(), codes.end(), code) != codes.end();
}

std::string name_of_signal(int signal) {
    const char* name = ::sigabbrev_np(signal);
    return name != nullptr ? "SIG" + std::string(name) : "signal " + std::to_string(signal);
}

}  // namespace

Traces traces_of(const DoneBody& done, std::string_view errors) {
    Traces traces{.exit_code = {}, .stderr_bytes = done.stderr_bytes, .errors = std::string(errors)};
    if (done.has_ended != 0) traces.signal = done.signal;
    if (done.has_ended != 0 && done.signal == 0) traces.exit_code = done.exit_code;
    return traces;
}

WorkEnd failed(Slot slot, std::string error) {
    return {.slot = slot, .finish = Finish::failed, .result = {}, .error = std::move(error)};
}

WorkEnd end_of_run(const ExecOptions& options, Slot slot, const DoneBody& done, std::string_view note,
                   std::string_view result) {
    WorkEnd end{.slot = slot, .finish = Finish::failed, .result = {}, .error = {}};
    const bool exited = done.cause == Cause::finished && done.signal == 0;
    if (exited && contains(options.ok_exit, done.exit_code)) {
        if (result.ends_with('\n')) result.remove_suffix(1);
        end.finish = Finish::ok;
        end.result = result;
        return end;
    }
    switch (done.cause) {
        case Cause::finished:
            if (exited && contains(options.reject_exit, done.exit_code)) end.finish = Finish::rejected;
            end.error =
                exited ? "exit code " + std::to_string(done.exit_code) : "killed by " + name_of_signal(done.signal);
            if (!note.empty()) end.error.append(": ").append(note);
            break;
        case Cause::stopped: end.finish = Finish::stopped; break;
        case Cause::over_output:
            end.error = "output over " + std::to_string(options.max_output) + " bytes (--max-output)";
            break;
        case Cause::not_started:
            end.error = "cannot run '" + options.command.front() + "': ";
            if (!note.empty()) end.error.append(note).append(": ");
            end.error += std::generic_category().message(done.error);
            break;
        // Of a command that stays
        default: end.error = "its supervisor said what it should not have"; break;
    }
    return end;
}

}  // namespace curfew
