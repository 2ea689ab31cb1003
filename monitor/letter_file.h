// A file of outcomes, read line by line: its letters one after the other, and what stands there
// besides, counted. Holds one line at a time. One thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "monitor/letter.h"

namespace curfew {

/// The lines of a file. Throws std::system_error where it cannot be read on.
class LineFile {
public:
    /// Larger than any line of ours: a message of 64 MiB, each byte written as six. A longer one is
    /// passed over, and not held.
    static constexpr std::size_t kMostLine = 400ULL << 20;

    struct Line {
        std::string_view text;  ///< without its newline; valid until the next
        bool too_long = false;  ///< nothing is in `text`
        bool has_end = true;    ///< its newline has come
    };

    /// `-` is stdin. Throws Unusable: it is not there, or is a folder.
    explicit LineFile(const std::string& name);
    ~LineFile();
    LineFile(const LineFile&) = delete;
    LineFile& operator=(const LineFile&) = delete;

    [[nodiscard]] bool next(Line& line);
    /// It is a file and no pipe.
    [[nodiscard]] bool can_begin_again() const { return regular_; }
    /// From where it began; the end is then where it was when it was met.
    void begin_again();

private:
    void fill();
    void check_size() const;

    std::string name_;
    int descriptor_;
    bool regular_ = false;
    std::uint64_t start_ = 0, read_ = 0, end_ = UINT64_MAX;  // offsets in the file
    std::string buffer_;
    std::size_t begin_ = 0;  // in the buffer, of what was not handed out
    bool at_end_ = false;
};

class LetterFile {
public:
    /// What is no outcome, and was left out.
    struct LeftOut {
        std::uint64_t lines = 0;
        std::uint64_t first = 0;  ///< the number of the first of them, from 1
        bool torn = false;        ///< the last line has no end, and is in no count
    };

    explicit LetterFile(const std::string& name) : file_(name) {}

    /// Goes to the next letter. False: there is none.
    [[nodiscard]] bool next();
    [[nodiscard]] const Letter& letter() const { return letter_; }
    /// As it stands there.
    [[nodiscard]] std::string_view line() const { return line_; }
    [[nodiscard]] const LeftOut& left_out() const { return left_out_; }

    [[nodiscard]] bool can_begin_again() const { return file_.can_begin_again(); }
    void begin_again();

private:
    LineFile file_;
    Letter letter_;
    std::string_view line_;
    std::uint64_t number_ = 0;
    LeftOut left_out_;
};

}  // namespace curfew
