#include "common/process/open_files.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <climits>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <system_error>

#include "common/process/options.h"

namespace curfew {
namespace {

namespace fs = std::filesystem;

/// The names in a folder; none where it cannot be read.
std::vector<fs::path> entries_of(const fs::path& folder) {
    std::vector<fs::path> found;
    std::error_code error;
    for (auto entry = fs::directory_iterator(folder, error); !error && entry != fs::directory_iterator();
         entry.increment(error))
        found.push_back(entry->path());
    return found;
}

std::optional<unsigned> flags_of(const fs::path& info) {
    std::ifstream file(info);
    for (std::string word; file >> word;) {
        unsigned flags = 0;
        if (word == "flags:" && file >> std::oct >> flags) return flags;
    }
    return std::nullopt;
}

bool is_open_to(unsigned flags, OpenTo to) {
    const unsigned mode = flags & O_ACCMODE;
    return to == OpenTo::only_read ? mode == O_RDONLY : mode != O_RDONLY;
}

/// Of who holds a lock: `INCARNATION PID ...`.
std::string pid_in(const fs::path& lock) {
    std::ifstream file(lock);
    std::string incarnation, pid;
    file >> incarnation >> pid;
    const bool is_one = !pid.empty() && std::ranges::all_of(pid, [](char c) { return c >= '0' && c <= '9'; });
    return is_one ? pid : std::string();
}

}  // namespace

int named_descriptor(const std::string& path) {
    std::error_code error;
    std::filesystem::path at = std::filesystem::absolute(path, error);
    for (int links = 0; links < 8; ++links) {
        const std::string parent = std::filesystem::canonical(at.parent_path(), error).string();
        if (error) return -1;
        if (parent == fmt::format("/proc/{}/fd", getpid())) {
            const auto number = parse_count(at.filename().string());
            return number && *number < INT_MAX ? static_cast<int>(*number) : -1;
        }
        const std::filesystem::path next = std::filesystem::read_symlink(at, error);
        if (error) return -1;
        at = next.is_absolute() ? next : at.parent_path() / next;
    }
    return -1;
}

bool is_inherited(int descriptor) {
    const int flags = fcntl(descriptor, F_GETFD);
    return flags >= 0 && (flags & FD_CLOEXEC) == 0;
}

std::vector<FileId> open_files(const std::string& pid, OpenTo to) {
    std::vector<FileId> found;
    const fs::path process = "/proc/" + pid;
    for (const fs::path& descriptor : entries_of(process / "fd")) {
        struct stat file {};
        if (stat(descriptor.c_str(), &file) != 0 || !S_ISREG(file.st_mode)) continue;
        const auto flags = flags_of(process / "fdinfo" / descriptor.filename());
        if (flags && is_open_to(*flags, to)) found.push_back({file.st_dev, file.st_ino});
    }
    return found;
}

std::vector<FileId> open_files_in_group(const std::string& run_dir, std::string_view program, OpenTo to) {
    std::vector<FileId> found;
    for (const fs::path& lock : entries_of(run_dir)) {
        if (lock.extension() != ".lock") continue;
        const std::string pid = pid_in(lock);
        std::error_code error;
        if (pid.empty() || fs::read_symlink("/proc/" + pid + "/exe", error).filename() != program) continue;
        std::ranges::copy(open_files(pid, to), std::back_inserter(found));
    }
    return found;
}

}  // namespace curfew
