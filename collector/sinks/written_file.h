// A file that is written from some place on, and can be read: the output or the journal of a sink
// that goes on where it was. Owned by the sink, on its thread. Locked as long as it is open.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "collector/sinks/locked_file.h"

namespace curfew {

class WrittenFile {
public:
    /// Opens or makes it, and locks it, for which it waits a moment. Throws Unusable.
    explicit WrittenFile(const std::string& path) : path_(path), file_(path), at_(size()) {}

    [[nodiscard]] int descriptor() const { return file_.descriptor(); }
    [[nodiscard]] std::uint64_t size() const;
    [[nodiscard]] std::string read(std::uint64_t at, std::size_t most) const;
    /// What comes behind this place goes, and writing goes on there.
    void cut(std::uint64_t at);

    void append(std::string_view bytes) { out_.append(bytes); }
    [[nodiscard]] std::string& buffer() { return out_; }
    /// Where the next byte that is appended will stand.
    [[nodiscard]] std::uint64_t end() const { return at_ + out_.size() - sent_; }
    /// Up to where it is written.
    [[nodiscard]] std::uint64_t written() const { return at_; }
    /// Writes what waits, up to `most` bytes. Returns errno, or 0.
    [[nodiscard]] int write_some(std::size_t most);

private:
    std::string path_;
    LockedFile file_;
    std::uint64_t at_;  // in the file, of the first byte that is not written
    std::string out_;
    std::size_t sent_ = 0;  // of out_
};

/// Reads it from the front to the back, a large piece at a time.
class InPieces {
public:
    /// `file` outlives it.
    explicit InPieces(const WrittenFile& file) : file_(file) {}
    /// What stands there, less at the end of the file; until the next call.
    [[nodiscard]] std::string_view read(std::uint64_t at, std::size_t most);

private:
    const WrittenFile& file_;
    std::string part_;
    std::uint64_t part_at_ = 0;
};

}  // namespace curfew
