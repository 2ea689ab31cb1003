// How many messages a queue server is asked for: what the workers can have in hand, and so many
// bytes, as far as the last messages tell. Pure.
//
// What is asked for anew is given beside what is here already, as the server counts by consumer. So
// with twice of it here, or too many bytes, nothing is asked for until half of that is gone. And
// nothing where most of it waits for the sink for so long that the server takes it back: it would
// be given the same again, and again, and count that against the messages.
#pragma once

#include <cstddef>
#include <cstdint>

namespace curfew {

class Prefetch {
public:
    static constexpr std::size_t kMostBytes = 64 << 20;  ///< fetched, or one message

    struct Here {
        std::size_t in_flight = 0;      ///< messages that were begun, and are not acknowledged
        std::size_t overdue = 0;        ///< of those: longer than the server waits for it
        std::size_t fetched = 0;        ///< and not begun
        std::size_t fetched_bytes = 0;  ///< of those
    };

    /// A message of so many bytes, with what its sender says.
    void came(std::size_t bytes);
    /// 0: nothing more. `room`: messages that the workers can have in hand.
    [[nodiscard]] std::uint16_t wanted(std::size_t room, const Here& here);
    /// Nothing is asked for, as most of what is here waits for the sink.
    [[nodiscard]] bool stands() const { return stands_; }

private:
    double mean_bytes_ = 0;  // of the last messages
    bool is_full_ = false, stands_ = false;
};

}  // namespace curfew
