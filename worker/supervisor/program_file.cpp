#include "worker/supervisor/program_file.h"

#include <elf.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cerrno>
#include <cstring>
#include <optional>
#include <string_view>
#include <system_error>

#include "worker/supervisor/link.h"
#include "worker/supervisor/process_tree.h"

namespace curfew {
namespace {

/// As much of the first line as the kernel looks at.
constexpr std::size_t kFirstLine = 256;

std::string piece_of(int file, std::size_t from, std::size_t size) {
    std::string piece(size, '\0');
    const ssize_t got = ::pread(file, piece.data(), size, static_cast<off_t>(from));
    piece.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
    return piece;
}

template <typename Part>
std::optional<Part> part_of(int file, std::size_t from) {
    const std::string bytes = piece_of(file, from, sizeof(Part));
    std::string_view rest = bytes;
    return take_front<Part>(rest);
}

template <typename Header, typename Segment>
std::string loader_of(int file) {
    const auto header = part_of<Header>(file, 0);
    for (std::size_t i = 0; header && i < header->e_phnum; ++i) {
        const auto segment = part_of<Segment>(file, header->e_phoff + i * header->e_phentsize);
        if (!segment) break;
        if (segment->p_type != PT_INTERP || segment->p_filesz > 4096) continue;
        const std::string path = piece_of(file, segment->p_offset, segment->p_filesz);
        return path.c_str();
    }
    return {};
}

std::string interpreter_of(const std::string& path) {
    const OwnedDescriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
    if (!file) return {};
    const std::string begin = piece_of(file.get(), 0, kFirstLine);
    if (begin.starts_with("#!")) {
        const std::string line = begin.substr(2, begin.find('\n', 2) - 2);
        const std::size_t from = std::min(line.find_first_not_of(" \t"), line.size());
        return line.substr(from, line.find_first_of(std::string_view(" \t\0", 3), from) - from);
    }
    if (!begin.starts_with(ELFMAG) || begin.size() < EI_NIDENT) return {};
    return begin[EI_CLASS] == ELFCLASS32 ? loader_of<Elf32_Ehdr, Elf32_Phdr>(file.get())
                                         : loader_of<Elf64_Ehdr, Elf64_Phdr>(file.get());
}

bool is_executable(const std::string& path) {
    struct stat status {};
    return ::stat(path.c_str(), &status) == 0 && S_ISREG(status.st_mode) &&
           ::faccessat(AT_FDCWD, path.c_str(), X_OK, AT_EACCESS) == 0;
}

/// With the carriage return that a file of another system has at the end of its lines, so that it
/// can be seen.
std::string visible(const std::string& name) {
    std::string text;
    for (const char c : name) {
        const auto byte = static_cast<unsigned char>(c);
        if (c == '\r')
            text += "\\r";
        else if (std::iscntrl(byte) != 0)
            text += '?';
        else
            text += c;
    }
    return text;
}

}  // namespace

std::string executable_of(const std::vector<std::string>& paths) {
    for (const std::string& path : paths) {
        if (is_executable(path)) return path;
    }
    return {};
}

std::string missing_interpreter(const std::string& path) {
    const std::string interpreter = interpreter_of(path);
    if (interpreter.empty() || is_executable(interpreter)) return {};
    const bool is_there = ::access(interpreter.c_str(), F_OK) == 0;
    return "its interpreter '" + visible(interpreter) + (is_there ? "' cannot be executed" : "' is missing");
}

bool may_be_a_script(const char* path) {
    const int file = ::open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (file < 0) return true;  // a shell says why it cannot be read
    std::array<char, kFirstLine> begin;
    const ssize_t got = ::read(file, begin.data(), begin.size());
    ::close(file);
    if (got <= 0) return true;
    const void* end = std::memchr(begin.data(), '\n', static_cast<std::size_t>(got));
    const std::size_t size = end != nullptr ? static_cast<std::size_t>(static_cast<const char*>(end) - begin.data())
                                            : static_cast<std::size_t>(got);
    return std::memchr(begin.data(), '\0', size) == nullptr;
}

std::optional<std::string> wrong_with_command(const std::vector<std::string>& command) {
    if (command.empty()) return "no command was given: put it behind --";
    const std::vector<std::string> paths = paths_of(command.front());
    const std::string path = executable_of(paths);
    const std::string missing = path.empty() ? "" : missing_interpreter(path);
    if (!path.empty() && missing.empty()) return std::nullopt;
    const bool is_there = path.empty() && std::ranges::any_of(paths, [](const std::string& tried) {
                              return ::access(tried.c_str(), F_OK) == 0;
                          });
    return "cannot run '" + command.front() +
           "': " + (missing.empty() ? std::generic_category().message(is_there ? EACCES : ENOENT) : missing);
}

}  // namespace curfew
