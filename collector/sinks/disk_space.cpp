#include "collector/sinks/disk_space.h"

#include <fmt/format.h>

#include <cerrno>
#include <cstring>
#include <system_error>
#include <utility>

#include "common/process/log.h"

namespace curfew {

bool DiskSpace::is_full(int error, Instant now) {
    if (error != ENOSPC && error != EDQUOT) return false;
    if (!std::exchange(full_, true)) {
        log::error("sink_full sink={} error={} action=\"waiting for space; a second INT or TERM to launch stops\"",
                   log::quoted(sink_), log::quoted(std::strerror(error)));
    }
    retry_at_ = now + std::chrono::milliseconds(500);
    return true;
}

void DiskSpace::has_taken() {
    if (std::exchange(full_, false)) log::warn("sink_goes_on sink={}", log::quoted(sink_));
}

void cannot_write(const std::string& sink, int error) {
    const char* why = error == EFBIG ? ", which is as large as a file may be here (ulimit -f, or the most of its file "
                                       "system)"
                      : error == EPIPE ? ": its reader has gone"
                                       : "";
    throw std::system_error(error, std::generic_category(), fmt::format("cannot write to the sink {}{}", sink, why));
}

}  // namespace curfew
