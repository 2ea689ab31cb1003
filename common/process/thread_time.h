// Processor time of the calling thread.
#pragma once

#include <time.h>

#include "common/words/vocabulary.h"

namespace curfew {

inline Duration thread_time() {
    timespec time{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec);
}

}  // namespace curfew
