#include "common/process/deep_thread.h"

#include <fmt/format.h>

#include <system_error>
#include <utility>

#include "common/process/quiet_thread.h"

namespace curfew {

void DeepThread::begin(std::size_t stack, std::function<void()> work) {
    work_ = std::move(work);
    pthread_attr_t wanted;
    pthread_attr_init(&wanted);
    int error = pthread_attr_setstacksize(&wanted, stack);
    if (error == 0) {
        const QuietSignals quiet;
        const auto run = [](void* self) -> void* {
            static_cast<DeepThread*>(self)->work_();
            return nullptr;
        };
        error = pthread_create(&thread_, &wanted, run, this);
    }
    pthread_attr_destroy(&wanted);
    if (error != 0)
        throw std::system_error(error, std::generic_category(),
                                fmt::format("a thread with a stack of {} bytes", stack));
    runs_ = true;
}

void DeepThread::join() {
    if (std::exchange(runs_, false)) pthread_join(thread_, nullptr);
}

}  // namespace curfew
