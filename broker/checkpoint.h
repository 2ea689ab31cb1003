// Where a source of messages is, on disk: with it a broker that starts again goes on in the same
// epoch, and gives each message of its file the number that it had.
//
//     epoch     the numbering's
//     input     how much of the file has been read, and a checksum of that: another file, or one that
//               was changed before that place, is refused
//     settled   numbers of messages that have settled. A hint: a sink that remembers knows better, and
//               what is not in it is done again
//
// Numbers are places in the file, so nothing else has to be kept. The file holds one line of JSON
// and one with the CRC-32 of that line; it is replaced as a whole, and locked by its writer.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "common/tables/interval_set.h"
#include "common/words/vocabulary.h"

namespace curfew {

inline constexpr std::uint64_t kCheckpointVersion = 1;

struct CheckpointState {
    Epoch epoch = 0;
    std::uint64_t read = 0;      ///< bytes of the input
    std::uint32_t checksum = 0;  ///< CRC-32 of those
    bool null = false;           ///< its messages end with NUL
    Intervals settled;

    bool operator==(const CheckpointState&) const = default;
};

[[nodiscard]] std::string text_of(const CheckpointState& state);
/// Throws std::invalid_argument that says what is wrong with it.
[[nodiscard]] CheckpointState checkpoint_of(std::string_view text);

/// Owned by the broker's server, on its thread.
class Checkpoint {
public:
    /// `input`: the file of messages. Throws Unusable: of another broker, damaged, newer, of
    /// another input; std::system_error.
    Checkpoint(std::string path, std::string input, bool null);
    ~Checkpoint();
    Checkpoint(const Checkpoint&) = delete;
    Checkpoint& operator=(const Checkpoint&) = delete;

    /// What the life before has left; none: this is the first.
    [[nodiscard]] const std::optional<CheckpointState>& found() const { return found_; }
    /// Of this life: said once, before the first message is taken.
    void begin(Epoch epoch);

    /// Sums up a bounded part of the input, up to where it has been read.
    void follow(std::uint64_t read);
    [[nodiscard]] bool is_due(Instant now) const { return now >= due_at_; }
    /// Where there is something new.
    void save(Instant now, const Intervals& settled);

private:
    /// Opens nothing yet: what a constructor throws behind this one leaves nothing open.
    Checkpoint(std::string path, std::string input);
    void open_and_lock();
    void load();
    void replace();
    [[nodiscard]] std::size_t add_some(std::uint64_t until);

    const std::string path_, input_path_;
    int file_ = -1;  // locked
    int input_ = -1;
    std::optional<CheckpointState> found_;
    CheckpointState state_;
    std::optional<CheckpointState> saved_;
    Instant due_at_{};
};

}  // namespace curfew
