#include "collector/sinks/syncer.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

#include "common/process/quiet_thread.h"

namespace curfew {

Syncer::Syncer(std::vector<int> descriptors)
    : descriptors_(std::move(descriptors)), event_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
    if (event_ < 0) throw std::system_error(errno, std::generic_category(), "eventfd");
    thread_ = quiet_thread([this] { work(); });
}

Syncer::~Syncer() {
    {
        const std::lock_guard lock(mutex_);
        shared_.ends = true;
    }
    asks_.notify_one();
    thread_.join();
    ::close(event_);
}

void Syncer::ask(std::uint64_t count) {
    if (std::exchange(asked_, count) == count) return;
    {
        const std::lock_guard lock(mutex_);
        shared_.asked = count;
    }
    asks_.notify_one();
}

std::uint64_t Syncer::done() {
    std::uint64_t events = 0;
    (void)!::read(event_, &events, sizeof events);
    const std::lock_guard lock(mutex_);
    if (shared_.error != 0)
        throw std::system_error(shared_.error, std::generic_category(),
                                "cannot put outcomes on the disk (fdatasync), and what is there now is not known");
    return known_ = shared_.done;
}

void Syncer::work() {
    std::unique_lock lock(mutex_);
    for (;;) {
        asks_.wait(lock, [this] { return shared_.ends || shared_.asked != shared_.done; });
        if (shared_.asked == shared_.done || shared_.error != 0) return;
        const std::uint64_t count = shared_.asked;
        lock.unlock();
        const int error = sync_all();
        lock.lock();
        shared_.error = error;
        if (error == 0) shared_.done = count;
        const std::uint64_t one = 1;
        (void)!::write(event_, &one, sizeof one);
        if (error != 0) return;
    }
}

int Syncer::sync_all() const {
    for (const int descriptor : descriptors_) {
        if (::fdatasync(descriptor) != 0) return errno;
    }
    return 0;
}

}  // namespace curfew
