// A way to a host, by TCP, which can be called off while it is made; and its end.
#pragma once

#include "common/amqp/address.h"
#include "common/amqp/cutter.h"
#include "common/words/vocabulary.h"

namespace curfew::amqp {

/// A socket that is connected, and does not block; the caller's. Waits until then, or for the
/// cutter. Throws Lost.
[[nodiscard]] int reach(const Address::Host& host, const Cutter& cutter, Instant until);

/// Says that no more will come, and throws away what the other says until it hangs up: closed with
/// something unread a connection is reset, and what was said last may go with it.
void hear_out(int socket, Instant until);

}  // namespace curfew::amqp
