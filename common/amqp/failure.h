// What is wrong where a connection cannot be used at the start, and what to do about it.
#pragma once

#include <exception>
#include <string>

#include "common/amqp/connection.h"
#include "common/process/options.h"

namespace curfew::amqp {

// Codes of AMQP 0-9-1
constexpr int kAccessRefused = 403, kNotFound = 404, kResourceLocked = 405, kPreconditionFailed = 406,
              kNotAllowed = 530;
// Ours: something else answers there
constexpr int kNoAmqp = -1;

/// `flag`: which names the place; `name`: of the queue, or of the exchange. 69 where the server or
/// what is to be there is missing, with the command that makes it; 64 where it was named wrongly.
[[nodiscard]] Unusable unusable(const std::string& flag, const Access& access, const std::string& name,
                                const std::exception& error);
/// Of a queue that is there, and is not as we would have made it; empty: nothing that matters.
[[nodiscard]] std::string what_is_odd(const std::string& queue, const Refused& refused);

}  // namespace curfew::amqp
