// The pipes between a supervisor and its program.
#pragma once

#include <sys/types.h>

#include <array>
#include <cstddef>
#include <initializer_list>
#include <string_view>

#include "worker/supervisor/link.h"

namespace curfew {

/// One way, to or from the program.
struct Pipe {
    OwnedDescriptor read_end;
    OwnedDescriptor write_end;
};

/// One end of each of the three pipes, of the program or of its supervisor; -1: none.
struct PipeEnds {
    int in = -1, out = -1, err = -1;
};

/// stdin, stdout and stderr of a program. Only our ends do not block: a program is not prepared for
/// a descriptor that says EAGAIN. False, with errno, if there are none to be had.
[[nodiscard]] bool open_pipes(const std::array<Pipe*, 3>& in_out_err);

/// What may still stand in a pipe when nobody writes any more: its size, which is 1 MiB at most.
/// More than this comes from somebody outside the tree who was handed the descriptor.
inline constexpr std::size_t kMaxLeftInPipe = 2 * 1024 * 1024;

/// One piece of what stands in a pipe.
class Piece {
public:
    static constexpr std::size_t kSize = 64UL * 1024;
    explicit Piece(int descriptor);
    [[nodiscard]] bool empty() const { return size_ <= 0; }
    [[nodiscard]] bool closed() const { return size_ == 0; }
    [[nodiscard]] std::string_view text() const { return {bytes_.data(), static_cast<std::size_t>(size_)}; }

private:
    std::array<char, kSize> bytes_;
    ssize_t size_;
};

}  // namespace curfew
