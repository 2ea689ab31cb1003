#include "collector/sinks/unsynced.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <string_view>
#include <system_error>

#include "collector/sinks/locked_file.h"
#include "common/process/locked_file.h"
#include "common/process/log.h"

namespace curfew {
namespace {

std::string mark_of(const std::string& path) {
    return path + ".unsynced";
}

[[noreturn]] void fail(std::string_view what, const std::string& path) {
    throw std::system_error(errno, std::generic_category(), fmt::format("cannot {} '{}'", what, path));
}

/// Closes itself.
class Descriptor {
public:
    explicit Descriptor(int number) : number_(number) {}
    ~Descriptor() {
        if (number_ >= 0) ::close(number_);
    }
    Descriptor(const Descriptor&) = delete;
    Descriptor& operator=(const Descriptor&) = delete;
    [[nodiscard]] int get() const { return number_; }

private:
    int number_;
};

void write_all(int descriptor, std::string_view bytes, const std::string& path) {
    while (!bytes.empty()) {
        const ssize_t size = ::write(descriptor, bytes.data(), bytes.size());
        if (size < 0 && errno == EINTR) continue;
        if (size < 0) fail("write", path);
        bytes.remove_prefix(static_cast<std::size_t>(size));
    }
}

/// Beside the file itself: a link to it stays one. By reading and writing: copy_file_range() may
/// give both files the same blocks.
void copy(const std::string& path) {
    const LockedFile file(path);
    struct stat found {};
    if (::fstat(file.descriptor(), &found) != 0) fail("look at", path);
    const std::string name = path + ".copy";
    const Descriptor made(::open(name.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, found.st_mode & 07777));
    if (made.get() < 0) fail("make", name);
    std::string part(1 << 20, '\0');
    for (off_t at = 0;;) {
        const ssize_t size = ::pread(file.descriptor(), part.data(), part.size(), at);
        if (size < 0 && errno == EINTR) continue;
        if (size < 0) fail("read", path);
        if (size == 0) break;
        write_all(made.get(), std::string_view(part).substr(0, static_cast<std::size_t>(size)), name);
        at += size;
    }
    if (::fdatasync(made.get()) != 0) fail("put on the disk", name);
    if (::rename(name.c_str(), path.c_str()) != 0) fail("replace", path);
    sync_folder_of(path);
}

}  // namespace

void mark_unsynced(const std::string& path) {
    const Descriptor mark(::open(mark_of(path).c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0666));
    if (mark.get() >= 0) (void)::fsync(mark.get());
    sync_folder_of(mark_of(path));
}

void copy_what_is_unsynced(const std::string& path, const std::vector<std::string>& files) {
    if (::access(mark_of(path).c_str(), F_OK) != 0) return;
    log::warn("sink_copied sink={} reason=\"a sync had failed: what is on the disk was not known\"", log::quoted(path));
    for (const std::string& file : files) {
        if (::access(file.c_str(), F_OK) == 0) copy(without_links(file));
    }
    (void)::unlink(mark_of(path).c_str());
}

}  // namespace curfew
