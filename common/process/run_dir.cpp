#include "common/process/run_dir.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

namespace curfew {
namespace {

void make_private_directory(const std::string& path) {
    if (mkdir(path.c_str(), 0700) != 0 && errno != EEXIST) {
        const int error = errno;
        throw RunDirError(fmt::format("cannot make run directory '{}': {}", path, std::strerror(error)), error);
    }
    struct stat found {};
    if (stat(path.c_str(), &found) != 0 || !S_ISDIR(found.st_mode)) {
        throw RunDirError(fmt::format("run directory '{}' is not a directory", path));
    }
    if (found.st_uid != geteuid()) throw RunDirError(fmt::format("run directory '{}' belongs to somebody else", path));
    // Whoever can write here can feed and read our sockets. But others may need the folder as it
    // is.
    if ((found.st_mode & 0077) != 0) {
        throw RunDirError(fmt::format(
            "run directory '{0}' is open to others (mode {1:04o}): use --run-dir {0}{2}curfew, which is made", path,
            found.st_mode & 07777, path.ends_with('/') ? "" : "/"));
    }
}

/// In place of what it says, and in its place on the disk: a full one may have no other.
bool rewrite(int file, const std::string& line) {
    return pwrite(file, line.data(), line.size(), 0) == static_cast<ssize_t>(line.size()) &&
           ftruncate(file, static_cast<off_t>(line.size())) == 0;
}

/// As far as they can be read.
std::vector<std::filesystem::path> files_in(const std::string& directory) {
    namespace fs = std::filesystem;
    std::vector<fs::path> files;
    std::error_code error;
    for (fs::directory_iterator at(directory, error); !error && at != fs::directory_iterator(); at.increment(error))
        files.push_back(at->path());
    return files;
}

bool is_still_at(int file, const std::string& path) {
    struct stat ours {
    }, there{};
    return fstat(file, &ours) == 0 && stat(path.c_str(), &there) == 0 && ours.st_ino == there.st_ino &&
           ours.st_dev == there.st_dev;
}

/// What a lock file says of its last life.
struct LastLife {
    unsigned long long incarnation = 0;
    int pid = 0;
    bool crashed = false;
};

LastLife read_lock(int file) {
    LastLife last;
    char text[64] = {}, word[16] = {};
    const ssize_t size = pread(file, text, sizeof(text) - 1, 0);
    const int fields = size > 0 ? std::sscanf(text, "%llu %d %15s", &last.incarnation, &last.pid, word) : 0;
    last.crashed = fields == 3 && std::strcmp(word, "running") == 0;
    return last;
}

/// Launch's lock, held; -1 where there is none, or a new launch has it. Others that leave have it
/// for a moment.
int open_launch_lock(const std::string& path) {
    const int file = open(path.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    if (file < 0) return -1;
    bool held = flock(file, LOCK_EX | LOCK_NB) == 0;
    for (int tries = 0; !held && tries < 100; ++tries) {
        // A member that leaves has it for less than a millisecond; a new launch keeps it, and to
        // wait for that one without a bound would block us.
        usleep(1000);
        held = flock(file, LOCK_EX | LOCK_NB) == 0;
    }
    if (held && is_still_at(file, path)) return file;
    close(file);
    return -1;
}

}  // namespace

std::string default_run_dir() {
    if (const char* runtime = std::getenv("XDG_RUNTIME_DIR"); runtime != nullptr && *runtime != '\0') {
        return std::string(runtime) + "/curfew";
    }
    return fmt::format("/tmp/curfew-{}", geteuid());
}

RunDir::RunDir(std::string path, const std::string& name) : path_(std::move(path)) {
    make_private_directory(path_);
    lock_file_ = path_ + "/" + name + ".lock";
    take_lock(name);
    const LastLife last = read_lock(lock_);  // now that nobody else writes it
    crashed_before_ = last.crashed;
    const auto wall = std::chrono::system_clock::now().time_since_epoch();
    const auto now = static_cast<Incarnation>(std::chrono::duration_cast<std::chrono::milliseconds>(wall).count());
    incarnation_ = std::max<Incarnation>(last.incarnation + 1, now);
    const std::string line = fmt::format("{} {} running\n", incarnation_, getpid());
    if (!rewrite(lock_, line)) {
        const int error = errno;
        throw RunDirError(fmt::format("cannot write lock file '{}': {}", lock_file_, std::strerror(error)), error);
    }
}

/// A holder that leaves may remove the file between our open and our lock: what we hold then is
/// nobody's, and the next to come would hold one too. So it is tried again.
void RunDir::take_lock(const std::string& name) {
    do {
        if (lock_ >= 0) close(lock_);
        lock_ = open(lock_file_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        if (lock_ < 0) {
            const int error = errno;
            throw RunDirError(fmt::format("cannot open lock file '{}': {}", lock_file_, std::strerror(error)), error);
        }
        if (flock(lock_, LOCK_EX | LOCK_NB) != 0) {
            const int pid = read_lock(lock_).pid;
            close(lock_);
            throw RunDirError(
                fmt::format("run directory '{}' is in use: process {} is its {}; stop it, or use another --run-dir",
                            path_, pid, name));
        }
    } while (!is_still_at(lock_, lock_file_));
}

bool RunDir::keep() {
    bool all = keep_lock();
    for (Claim& claim : claims_) all = keep_claim(claim) && all;
    return all;
}

bool RunDir::keep_claim(Claim& claim) {
    if (access(claim.file.c_str(), F_OK) == 0 || errno != ENOENT) return true;
    const int file = open(claim.file.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (file < 0) return false;
    (void)flock(file, LOCK_EX | LOCK_NB);  // whoever was quicker has it
    close(std::exchange(claim.descriptor, file));
    return false;
}

bool RunDir::keep_lock() {
    // Ours, or that of who came since
    if (access(lock_file_.c_str(), F_OK) == 0 || errno != ENOENT) return true;
    (void)mkdir(path_.c_str(), 0700);
    const int file = open(lock_file_.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (file < 0) return false;
    if (flock(file, LOCK_EX | LOCK_NB) == 0 && rewrite(file, fmt::format("{} {} running\n", incarnation_, getpid()))) {
        close(std::exchange(lock_, file));
    } else {
        close(file);
    }
    return false;
}

void RunDir::ended_well() {
    (void)rewrite(lock_, fmt::format("{} {} ended\n", incarnation_, getpid()));
}

void RunDir::never_began() {
    if (!crashed_before_) ended_well();
}

void RunDir::leave_orphaned() {
    // Or we would see ourselves in them
    for (const Claim& claim : std::exchange(claims_, {})) close(claim.descriptor);
    // Before the look at the others: of those that leave at once, the last sees none
    unlink(lock_file_.c_str());
    const std::string launch_file = path_ + "/launch.lock";
    const int launch = open_launch_lock(launch_file);
    if (launch < 0) return;
    char text[64] = {};
    if (!others_live() && pread(launch, text, sizeof(text) - 1, 0) > 0) {
        const std::string_view said = text;
        if (said.ends_with(" private\n")) {
            std::error_code error;
            std::filesystem::remove_all(path_, error);
        } else {
            remove_made();
            unlink(launch_file.c_str());  // last: until then a new launch waits
            if (said.ends_with(" made\n")) (void)rmdir(path_.c_str());
        }
    }
    close(launch);
}

/// Another process of the group, or of somebody else who has come since, holds its lock.
bool RunDir::others_live() const {
    for (const std::filesystem::path& file : files_in(path_)) {
        if (file.extension() != ".lock" || file.filename() == "launch.lock") continue;
        const int lock = open(file.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
        if (lock < 0) continue;
        const bool held = flock(lock, LOCK_EX | LOCK_NB) != 0;
        close(lock);
        if (held) return true;
    }
    return false;
}

void RunDir::remove_made() const {
    constexpr std::string_view kEndings[] = {".sock",           ".lock",      ".running",
                                             ".running.before", ".sink.mark", ".dead-letters.mark",
                                             ".joblog.mark",    ".last.json", ".last.json.new"};
    for (const std::filesystem::path& file : files_in(path_)) {
        const std::string name = file.filename().string();
        const auto ends = [&](std::string_view ending) { return name.ends_with(ending); };
        if (name == "launch.lock") continue;
        if (name == "books" || std::ranges::any_of(kEndings, ends)) unlink(file.c_str());
    }
}

void RunDir::claim(const std::string& what) {
    const std::string file = path_ + "/" + what + ".lock";
    const int claim = open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (claim < 0) throw RunDirError(fmt::format("cannot write '{}': {}", file, std::strerror(errno)), errno);
    claims_.push_back({file, claim});
    if (flock(claim, LOCK_EX | LOCK_NB) != 0)
        throw RunDirError(
            fmt::format("another process has the {} of '{}': use another run directory (--run-dir)", what, path_));
}

RunDir::~RunDir() {
    for (const Claim& claim : claims_) close(claim.descriptor);
    if (lock_ >= 0) close(lock_);
}

}  // namespace curfew
