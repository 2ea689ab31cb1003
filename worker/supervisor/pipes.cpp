#include "worker/supervisor/pipes.h"

#include <fcntl.h>
#include <unistd.h>

namespace curfew {
namespace {

bool set_nonblocking(const OwnedDescriptor& end) {
    return ::fcntl(end.get(), F_SETFL, O_NONBLOCK) == 0;
}

}  // namespace

bool open_pipes(const std::array<Pipe*, 3>& in_out_err) {
    for (Pipe* pipe : in_out_err) {
        int ends[2];
        if (::pipe2(ends, O_CLOEXEC) != 0) return false;
        pipe->read_end.reset(ends[0]);
        pipe->write_end.reset(ends[1]);
    }
    return set_nonblocking(in_out_err[0]->write_end) && set_nonblocking(in_out_err[1]->read_end) &&
           set_nonblocking(in_out_err[2]->read_end);
}

Piece::Piece(int descriptor) : size_(::read(descriptor, bytes_.data(), bytes_.size())) {}

}  // namespace curfew
