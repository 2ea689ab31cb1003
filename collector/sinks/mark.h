// Where in its sink the collector is, told so that it outlives the collector: `NAME.sink.mark` and
// `NAME.dead-letters.mark` in the run directory. A collector that is killed may leave the beginning
// of an outcome in the sink; its next life must not continue that line. With the mark it knows
// whether there is one:
//
//     a file           what the sink does not have whole is cut off
//     anything else    what is in a pipe stays there: a newline ends the torn line
//
// Both are said in the log, and the outcome follows whole, since it was not settled.
//
// The page is five numbers of 64 bits: magic, device and inode of the sink (a mark counts for that
// sink only), and two positions. `whole` is the end of the last outcome that the sink certainly
// has; `end` is how far what we wrote may reach. In a file a position is an offset; elsewhere it is
// a count of bytes that goes on from life to life.
//
//     before a write of n bytes    end = position + n
//     after it                     whole = end of the last whole outcome, then end = position
//
// Whenever the process is killed, what is between whole and end is torn, or it may be: killed
// between the write and the second store, the sink may have it whole. A file tells how far it
// really reaches, so there the answer is exact. A pipe does not, since somebody reads from it: then
// the newline may be one too many, an empty line, which is the lesser evil. It can happen only
// around the first and the last bytes of an outcome over PIPE_BUF: a pipe takes up to that as a
// whole or not at all, so a write of whole outcomes of this size leaves the mark as it is until it
// is done.
//
// Owned by the sink, on its thread. Throws std::system_error where the sink or the page cannot be
// used.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "common/process/mapped_file.h"

namespace curfew {

class SinkMark {
public:
    /// What to do with a file that does not end with a newline if there is no word of it.
    enum class WithoutWord {
        leave,    ///< stdout: whoever opened it wants to be continued
        newline,  ///< a file of ours in which somebody has written
        /// A file of ours, and the life before was killed: its torn line, and the page was lost.
        cut,
    };

    /// `path`: of the page; where it is empty, no word is left.
    explicit SinkMark(const std::string& path);
    SinkMark(const SinkMark&) = delete;
    SinkMark& operator=(const SinkMark&) = delete;

    /// Starts a life: looks at what the life before has left in the sink, and cuts what is torn.
    /// True if a newline has to be written before anything else. `name` is for the log.
    [[nodiscard]] bool begin(int descriptor, std::string name, WithoutWord without_word);

    /// `whole`: these bytes begin and end with an outcome.
    void before_write(std::size_t size, bool whole);
    /// `size` of them were taken; the last `of_next` of all that was taken belong to an outcome
    /// whose rest is to come.
    void after_write(std::size_t size, std::size_t of_next);

    /// The orderly end of a life: nothing torn is left, as far as that can be had without waiting.
    void end() noexcept;

    [[nodiscard]] bool is_file() const { return is_file_; }
    [[nodiscard]] bool is_pipe() const { return is_pipe_; }

private:
    struct Page {
        std::uint64_t magic = 0, device = 0, inode = 0, whole = 0, end = 0;
    };
    [[nodiscard]] bool begin_file(std::uint64_t size, bool known, WithoutWord without_word);
    [[nodiscard]] bool mend_unknown_file(WithoutWord without_word);
    [[nodiscard]] bool cut(std::uint64_t end);
    [[nodiscard]] std::uint64_t size() const;
    [[nodiscard]] std::uint64_t position_in_file() const;

    std::unique_ptr<MappedFile> file_;
    Page own_;
    Page* page_;
    int descriptor_ = -1;  // the sink's
    std::string name_;
    bool is_file_ = false;
    bool is_pipe_ = false;
    bool appends_ = false;
    std::uint64_t position_ = 0;
};

}  // namespace curfew
