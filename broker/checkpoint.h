// Where a source of messages is, on disk: with it a broker that starts again goes on in the same
// epoch, and gives each message of its file the number that it had.
//
//     epoch     the numbering's
//     input     how much of the file has been read, and a checksum of that: another file, or one that
//               was changed before that place, is refused; and where the last message had no end,
//               one that has grown
//     settled   numbers of messages that have settled. A hint: a sink that remembers knows better, and
//               what is not in it is done again
//     failures  how many of those did not complete
//     passed    numbers that an earlier epoch has settled: they are none of this one
//     wish      of `--retry-failed`: the last one that was answered, which is not asked again
//     command   what the work was, in words of who started it: that it is another one now is said
//
// Numbers are places in the file, so nothing else has to be kept. The file holds one line of JSON
// and one with the CRC-32 of that line; it is replaced as a whole, and locked by its writer
// (common/process/replaced_file.h).
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "common/process/replaced_file.h"
#include "common/tables/interval_set.h"
#include "common/words/vocabulary.h"

namespace curfew {

inline constexpr std::uint64_t kCheckpointVersion = 1;

struct CheckpointState {
    Epoch epoch = 0;
    std::uint64_t read = 0;      ///< bytes of the input
    std::uint32_t checksum = 0;  ///< CRC-32 of those
    bool null = false;           ///< its messages end with NUL
    bool unended = false;        ///< the last one that was read ended with the file
    Intervals settled;
    std::uint64_t failures = 0;
    Intervals passed;
    std::string wish;
    std::string command;

    bool operator==(const CheckpointState&) const = default;
};

[[nodiscard]] std::string text_of(const CheckpointState& state);
/// Throws std::invalid_argument that says what is wrong with it.
[[nodiscard]] CheckpointState checkpoint_of(std::string_view text);

/// Owned by the broker's server, on its thread.
class Checkpoint {
public:
    struct Place {
        std::string path;
        std::string input;    ///< the file of messages
        bool null = false;    ///< they end with NUL
        std::string command;  ///< as in CheckpointState
    };
    /// Throws Unusable: of another broker, damaged, newer, of another input; std::system_error.
    explicit Checkpoint(Place place);
    ~Checkpoint();
    Checkpoint(const Checkpoint&) = delete;
    Checkpoint& operator=(const Checkpoint&) = delete;

    /// What the life before has left; none: this is the first.
    [[nodiscard]] const std::optional<CheckpointState>& found() const { return found_; }
    /// Of this life: said before the first message is taken. It is on the disk when this returns:
    /// no number of that epoch is given out before. `wish`: as in CheckpointState. Throws
    /// std::system_error.
    void begin(Epoch epoch, const Intervals& passed = {}, const std::string& wish = {});
    [[nodiscard]] Epoch epoch() const { return state_.epoch; }
    [[nodiscard]] const std::string& wish() const { return state_.wish; }

    /// Sums up a bounded part of the input, up to where it has been read.
    void follow(std::uint64_t read);
    [[nodiscard]] bool is_due(Instant now) const { return now >= due_at_; }
    /// Where there is something new. Throws std::system_error where an earlier one has failed.
    void save(Instant now, const Intervals& settled, std::uint64_t failures);

private:
    struct Unopened {};  // what a constructor throws behind this one leaves nothing open
    Checkpoint(Unopened, Place place) : place_(std::move(place)) {}
    void open_input();
    void load();
    void compare_input(const CheckpointState& found);
    [[nodiscard]] std::size_t add_some(std::uint64_t until);
    [[nodiscard]] char separator() const { return place_.null ? '\0' : '\n'; }

    const Place place_;
    int input_ = -1;
    std::unique_ptr<ReplacedFile> file_;
    std::optional<CheckpointState> found_;
    CheckpointState state_;
    std::optional<CheckpointState> saved_;
    std::uint64_t target_ = 0;  // up to where the input has been read
    char last_byte_ = 0;        // of what is summed up
    Instant due_at_{};
};

}  // namespace curfew
