#include "collector/sinks/results.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/fs.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <system_error>
#include <utility>

#include "common/process/options.h"
#include "common/process/quiet_thread.h"
#include "common/words/exit_code.h"

namespace curfew {
namespace {

constexpr const char* kMarker = ".curfew-results";
constexpr std::string_view kMarkerText = "curfew results 1\n";
constexpr std::uint64_t kInGroup = 1000;
constexpr std::array<const char*, 4> kNames{"stdout", "stderr", "stderr.end", "meta.json"};
/// Made until they are told, or synced.
constexpr std::size_t kTogether = 256;

[[noreturn]] void refuse(const std::string& text) {
    throw Unusable(kExitUsage, "--results-dir: " + text);
}

void refuse_what_is_not_ours(const std::string& path) {
    std::error_code error;
    struct stat marker {};
    if (::stat((path + "/" + kMarker).c_str(), &marker) == 0) return;
    const std::filesystem::directory_iterator at(path, error);
    if (error)
        throw Unusable(exit_code_of(error.value()),
                       fmt::format("--results-dir: cannot read '{}': {}", path, error.message()));
    if (at == std::filesystem::directory_iterator()) return;
    refuse(fmt::format("'{}' is not empty, and not of curfew ({} is not in it): name another folder, which is made",
                       path, kMarker));
}

/// The folder itself; true if it is there.
bool check_folder(const std::string& path) {
    struct stat found {};
    if (::stat(path.c_str(), &found) != 0) {
        if (errno == ENOENT) return false;
        throw Unusable(exit_code_of(errno),
                       fmt::format("--results-dir: cannot look at '{}': {}", path, std::strerror(errno)));
    }
    if (!S_ISDIR(found.st_mode)) refuse(fmt::format("'{}' is no folder: name one, or one that is to be made", path));
    return true;
}

/// Of a folder that is being made.
constexpr int kMostNames = 100;

/// The marker's path; DIR is there, and is ours.
std::string take_folder(const std::string& path) {
    if (!check_folder(path) && ::mkdir(path.c_str(), 0777) != 0 && errno != EEXIST)
        throw Unusable(exit_code_of(errno),
                       fmt::format("--results-dir: cannot make '{}': {}", path, std::strerror(errno)));
    refuse_what_is_not_ours(path);
    return path + "/" + kMarker;
}

/// Returns errno, or 0.
int write_file(int folder, const char* name, std::string_view bytes) {
    const int file = ::openat(folder, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (file < 0) return errno;
    int error = 0;
    while (!bytes.empty() && error == 0) {
        const ssize_t size = ::write(file, bytes.data(), bytes.size());
        if (size > 0) bytes.remove_prefix(static_cast<std::size_t>(size));
        if (size < 0 && errno != EINTR) error = errno;
    }
    // Where a disk is full, some file systems say so at the end
    if (::close(file) != 0 && error == 0 && errno != EINTR) error = errno;
    return error;
}

/// Takes a folder away, if it is there and has nothing in it but what we make.
void remove_folder(int group, const std::string& name) {
    for (const char* file : kNames) (void)::unlinkat(group, (name + "/" + file).c_str(), 0);
    (void)::unlinkat(group, name.c_str(), AT_REMOVEDIR);
}

/// Returns errno, or 0.
int make_empty(int group, const std::string& name) {
    remove_folder(group, name);
    return ::mkdirat(group, name.c_str(), 0777) == 0 ? 0 : errno;
}

int fill(int folder, const ResultFolder& what) {
    int error = what.has_result ? write_file(folder, "stdout", what.result) : 0;
    if (error == 0 && what.has_errors)
        error = write_file(folder, what.errors_are_cut ? "stderr.end" : "stderr", what.errors);
    return error == 0 ? write_file(folder, "meta.json", what.meta) : error;
}

}  // namespace

// ---- folders -----------------------------------------------------------------------------------

ResultFolders::~ResultFolders() {
    if (group_ >= 0) ::close(group_);
}

int ResultFolders::enter_group(std::uint64_t number) {
    if (group_ >= 0 && group_number_ == number) return 0;
    if (group_ >= 0) ::close(std::exchange(group_, -1));
    const std::string name = fmt::format("{:06}", number);
    if (::mkdirat(directory_, name.c_str(), 0777) != 0 && errno != EEXIST) return errno;
    group_ = ::openat(directory_, name.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    group_number_ = number;
    return group_ < 0 ? errno : 0;
}

int ResultFolders::make(const ResultFolder& what) {
    if (const int error = enter_group(what.seq / kInGroup); error != 0) return error;
    const std::string name = fmt::format("{:09}", what.seq);
    std::string made = "." + name;
    int error = make_empty(group_, made);
    // There is something of somebody's in it
    for (int i = 1; error == EEXIST && i < kMostNames; ++i)
        error = make_empty(group_, made = fmt::format(".{}.{}", name, i));
    if (error != 0) {
        // Somebody has cleared up in between
        if (error == ENOENT) ::close(std::exchange(group_, -1));
        return error;
    }
    const int folder = ::openat(group_, made.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    error = folder < 0 ? errno : fill(folder, what);
    if (folder >= 0) ::close(folder);
    if (error == 0) error = put_in_place(made, name);
    if (error != 0) remove_folder(group_, made);
    return error;
}

/// In one step where the file system can: else there is a moment without either.
int ResultFolders::put_in_place(const std::string& made, const std::string& name) const {
    const auto rename = [&](unsigned flags) {
        return ::renameat2(group_, made.c_str(), group_, name.c_str(), flags) == 0 ? 0 : errno;
    };
    int error = rename(RENAME_NOREPLACE);
    if (error == 0) return 0;
    const bool is_there = error == EEXIST || ::faccessat(group_, name.c_str(), F_OK, 0) == 0;
    if (is_there && rename(RENAME_EXCHANGE) == 0) {
        remove_folder(group_, made);
        return 0;
    }
    if (is_there) remove_folder(group_, name);
    return rename(0);
}

// ---- the sink ----------------------------------------------------------------------------------

void ResultsSink::check(const std::string& directory) {
    if (check_folder(directory)) refuse_what_is_not_ours(directory);
}

ResultsSink::ResultsSink(const std::string& directory, bool synced)
    : path_(directory), synced_(synced), marker_(take_folder(directory)), space_(directory) {
    const std::string text = marker_.read(0, kMarkerText.size() + 1);
    if (!text.empty() && text != kMarkerText)
        refuse(fmt::format("'{}/{}' is of another curfew, or damaged: name another folder", directory, kMarker));
    if (text.empty()) marker_.append(kMarkerText);
    if (const int error = marker_.write_some(kMarkerText.size()); error != 0) cannot_write(directory, error);
    directory_ = ::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (directory_ < 0) cannot_write(directory, errno);
    event_ = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (event_ < 0) throw std::system_error(errno, std::generic_category(), "eventfd");
    thread_ = quiet_thread([this] { work(); });
}

ResultsSink::~ResultsSink() {
    {
        const std::lock_guard lock(mutex_);
        shared_.ends = true;
    }
    asks_.notify_one();
    if (thread_.joinable()) thread_.join();
    if (event_ >= 0) ::close(event_);
    if (directory_ >= 0) ::close(directory_);
}

void ResultsSink::put(const OutcomeRecord& outcome) {
    ResultFolder folder;
    folder.sync = outcome.sync;
    folder.seq = outcome.seq;
    folder.has_result = outcome.outcome == Outcome::completed;
    if (folder.has_result) folder.result = outcome.result.view();
    folder.has_errors = outcome.work != nullptr;
    if (folder.has_errors) folder.errors = outcome.work->errors;
    folder.errors_are_cut = folder.has_errors && outcome.work->is_cut();
    append_json_meta(folder.meta, outcome);
    ++waiting_;
    waiting_bytes_ += folder.size();
    {
        const std::lock_guard lock(mutex_);
        shared_.asked.push_back(std::move(folder));
    }
    asks_.notify_one();
}

void ResultsSink::flush(Instant now, Written& written) {
    std::uint64_t count = 0;
    (void)!::read(event_, &count, sizeof(count));
    std::vector<Made> made;
    int error = 0;
    bool full = false;
    {
        const std::lock_guard lock(mutex_);
        std::swap(made, shared_.made);
        error = shared_.error;
        full = shared_.full;
    }
    for (const Made& one : made) {
        written.emplace_back(one.sync, one.seq);
        --waiting_;
        waiting_bytes_ -= one.size;
        bytes_ += one.size;
    }
    if (error != 0) cannot_write(path_, error);
    if (!full) {
        space_.has_taken();
    } else if (!space_.waits()) {
        (void)space_.is_full(ENOSPC, now);
    }
}

/// The one that is being made, too, is said: for a broker that is no more.
void ResultsSink::forget_waiting() {
    const std::lock_guard lock(mutex_);
    waiting_ -= shared_.asked.size();
    for (const ResultFolder& folder : shared_.asked) waiting_bytes_ -= folder.size();
    shared_.asked.clear();
}

// ---- its thread --------------------------------------------------------------------------------

void ResultsSink::work() {
    ResultFolders folders(directory_);
    std::vector<Made> made;
    for (;;) {
        ResultFolder next;
        {
            std::unique_lock lock(mutex_);
            if (shared_.asked.empty() || made.size() >= kTogether) {
                lock.unlock();
                publish(made);
                lock.lock();
            }
            asks_.wait(lock, [this] { return shared_.ends || !shared_.asked.empty(); });
            if (shared_.ends || shared_.error != 0) return;
            next = std::move(shared_.asked.front());
            shared_.asked.pop_front();
        }
        if (!make(folders, next, made)) return;
        made.push_back({next.sync, next.seq, next.size()});
    }
}

/// False: it is not made, and none will be.
bool ResultsSink::make(ResultFolders& folders, const ResultFolder& folder, std::vector<Made>& made) {
    constexpr int kTries = 3;
    for (int gone = 0;;) {
        const int error = folders.make(folder);
        if (error == 0) return true;
        // Somebody has taken the folder of its thousand away
        if (error == ENOENT && ++gone < kTries) continue;
        if (error != ENOSPC && error != EDQUOT) {
            fail(error);
            return false;
        }
        publish(made);
        if (!wait_for_space()) return false;
    }
}

/// Half a second; false: the sink ends.
bool ResultsSink::wait_for_space() {
    constexpr auto kPause = std::chrono::milliseconds(500);
    std::unique_lock lock(mutex_);
    if (!std::exchange(shared_.full, true)) (void)::eventfd_write(event_, 1);
    return !asks_.wait_for(lock, kPause, [this] { return shared_.ends; });
}

void ResultsSink::publish(std::vector<Made>& made) {
    if (made.empty()) return;
    if (synced_ && ::syncfs(directory_) != 0) return fail(errno);
    {
        const std::lock_guard lock(mutex_);
        shared_.made.insert(shared_.made.end(), made.begin(), made.end());
        shared_.full = false;
    }
    made.clear();
    (void)::eventfd_write(event_, 1);
}

void ResultsSink::fail(int error) {
    {
        const std::lock_guard lock(mutex_);
        shared_.error = error;
    }
    (void)::eventfd_write(event_, 1);
}

}  // namespace curfew
