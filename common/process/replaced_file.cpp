#include "common/process/replaced_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <string_view>
#include <system_error>
#include <utility>

#include "common/process/locked_file.h"
#include "common/process/quiet_thread.h"

namespace curfew {
namespace {

/// What work was asked for is nobody else's business.
constexpr unsigned kMode = 0600;

constexpr auto kUntilThereIsRoom = std::chrono::milliseconds(500);

/// Throws errno.
void write_all(int descriptor, std::string_view bytes) {
    while (!bytes.empty()) {
        const ssize_t size = ::write(descriptor, bytes.data(), bytes.size());
        if (size < 0 && errno == EINTR) continue;
        if (size < 0) throw errno;
        bytes.remove_prefix(static_cast<std::size_t>(size));
    }
}

}  // namespace

ReplacedFile::ReplacedFile(std::string path) : path_(std::move(path)), file_(open_locked(path_, kMode)) {
    if (file_ < 0) throw std::system_error(errno, std::generic_category(), fmt::format("cannot write '{}'", path_));
    thread_ = quiet_thread([this] { work(); });
}

ReplacedFile::~ReplacedFile() {
    {
        const std::lock_guard lock(mutex_);
        ends_ = true;
    }
    changed_.notify_all();
    thread_.join();
    ::close(file_);
}

std::string ReplacedFile::found() const {
    std::string text;
    char part[64 << 10];
    for (ssize_t size = 0; (size = ::pread(file_, part, sizeof part, static_cast<off_t>(text.size()))) > 0;)
        text.append(part, static_cast<std::size_t>(size));
    return text;
}

void ReplacedFile::replace(std::string text) {
    {
        const std::lock_guard lock(mutex_);
        throw_if_failed();
        next_ = std::move(text);
    }
    changed_.notify_all();
}

void ReplacedFile::wait() {
    std::unique_lock lock(mutex_);
    is_waited_for_ = true;
    changed_.notify_all();
    changed_.wait(lock, [this] { return error_ != 0 || (!next_ && !busy_); });
    is_waited_for_ = false;
    throw_if_failed();
}

void ReplacedFile::throw_if_failed() const {
    if (error_ != 0) throw std::system_error(error_, std::generic_category(), fmt::format("cannot write '{}'", path_));
}

// ---- the thread --------------------------------------------------------------------------------

void ReplacedFile::work() {
    std::unique_lock lock(mutex_);
    for (;;) {
        changed_.wait(lock, [this] { return ends_ || next_; });
        if (!next_ || error_ != 0) return;
        const std::string text = *std::exchange(next_, std::nullopt);
        busy_ = true;
        lock.unlock();
        int error = 0;
        try {
            write(text);
        } catch (const int number) {
            error = number;
        }
        lock.lock();
        busy_ = false;
        if ((error == ENOSPC || error == EDQUOT) && !is_waited_for_) {
            if (!next_) next_ = text;
            changed_.wait_for(lock, kUntilThereIsRoom, [this] { return ends_ || is_waited_for_; });
            if (ends_) return;
            continue;
        }
        error_ = error;
        changed_.notify_all();
    }
}

/// Throws errno.
void ReplacedFile::write(const std::string& text) {
    const std::string next = path_ + ".new";
    const int file = ::open(next.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, kMode);
    if (file < 0) throw errno;
    try {
        (void)::flock(file, LOCK_EX | LOCK_NB);
        write_all(file, text);
        if (::fdatasync(file) != 0 || ::rename(next.c_str(), path_.c_str()) != 0) throw errno;
    } catch (const int) {
        ::close(file);
        throw;
    }
    sync_folder_of(path_);
    ::close(std::exchange(file_, file));
}

}  // namespace curfew
