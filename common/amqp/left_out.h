// What a build without queues (-DCURFEW_AMQP=OFF) says where one is asked for.
#pragma once

#include <stdexcept>

namespace curfew::amqp {

inline constexpr const char* kLeftOut = "not in this build";

/// Throws std::invalid_argument.
[[noreturn]] inline void refuse_left_out() {
    throw std::invalid_argument("queues are not in this build, which was made with -DCURFEW_AMQP=OFF");
}

}  // namespace curfew::amqp
