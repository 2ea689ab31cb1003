// Records into frames. Not thread safe; a Writer is kept and used again, its buffer's usual size is
// remembered.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "common/wire/frame.h"
#include "common/wire/wire.h"

namespace curfew::wire {

/// Builds a frame: add() records, then finish() with the envelope.
class Writer {
public:
    template <typename R>
    void add(const R& record);
    void add(const Task& task);
    void add(const Report& report);

    /// Begins a record of shared tasks (its own `items` are ignored), which goes on until something
    /// else is added.
    void begin(const SharedTasks& shared);
    /// The next task of it; so many numbers, and seqs, are left out before it.
    void add_item(std::uint64_t numbers, std::uint64_t seqs, std::string_view payload);

    /// Moves the records of another writer behind those of this one.
    void append(Writer& other);

    [[nodiscard]] bool empty() const { return size() == 0; }
    /// Bytes of records so far.
    [[nodiscard]] std::size_t size() const { return buffer_.size() == 0 ? 0 : buffer_.size() - kEnvelopeSize; }

    /// The frame; the writer is empty again.
    [[nodiscard]] Frame finish(const Envelope& envelope);
    void clear();

private:
    /// The run that is the last record so far, and may go on.
    struct Run {
        std::uint8_t type = 0;         // 0: there is none
        std::size_t items_at = 0;      // where they begin in the buffer
        std::uint64_t number = 0;      // of the last item
        std::uint64_t seq = 0;         // of the last item
        std::uint64_t shared[5] = {};  // what all items have in common
    };
    template <typename R>
    void add_plain(const R& record);
    void leave_room_for_envelope();
    void close_run();
    void open_items(std::uint8_t type);
    template <std::size_t N>
    void add_to_run(std::uint8_t type, std::uint64_t number, std::uint64_t seq, const std::uint64_t (&shared)[N],
                    std::string_view payload);

    Frame buffer_;           // empty, or room for the envelope and the records behind it
    std::size_t usual_ = 0;  // size of the last frame: the next will be much like it
    Run run_;
};

}  // namespace curfew::wire
