// A directory of a test's own, and pipes; both are gone at its end.
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>

namespace curfew::support {

class TempDir {
public:
    TempDir() {
        std::string pattern = (std::filesystem::temp_directory_path() / "curfew-unit-XXXXXX").string();
        if (mkdtemp(pattern.data()) != nullptr) path_ = pattern;
        EXPECT_FALSE(path_.empty());
    }
    ~TempDir() {
        std::error_code ignored;
        if (!path_.empty()) std::filesystem::remove_all(path_, ignored);
    }
    TempDir(const TempDir&) = delete;
    TempDir& operator=(const TempDir&) = delete;

    [[nodiscard]] std::string file(const std::string& name) const { return path_ + "/" + name; }
    std::string write(const std::string& name, std::string_view bytes) const {
        std::ofstream(file(name), std::ios::binary) << bytes;
        return file(name);
    }
    [[nodiscard]] std::string read(const std::string& name) const {
        std::ifstream stream(file(name), std::ios::binary);
        return {std::istreambuf_iterator<char>(stream), {}};
    }

private:
    std::string path_;
};

/// The write end is non-blocking: a test never waits for a reader.
class Pipe {
public:
    Pipe() { EXPECT_EQ(pipe2(ends_, O_CLOEXEC | O_NONBLOCK), 0); }
    ~Pipe() {
        close_reader();
        close_writer();
    }
    Pipe(const Pipe&) = delete;
    Pipe& operator=(const Pipe&) = delete;

    /// For those who take a descriptor over; blocking, as they get it from a shell.
    [[nodiscard]] int give_reader() { return give(ends_[0]); }
    [[nodiscard]] int give_writer() { return give(ends_[1]); }
    void put(std::string_view bytes) const {
        EXPECT_EQ(::write(ends_[1], bytes.data(), bytes.size()), static_cast<ssize_t>(bytes.size()));
    }
    /// All that is in it now, at most `most` bytes.
    [[nodiscard]] std::string take(std::size_t most = 1 << 22) const {
        std::string bytes(most, '\0');
        const ssize_t size = ::read(ends_[0], bytes.data(), bytes.size());
        bytes.resize(size > 0 ? static_cast<std::size_t>(size) : 0);
        return bytes;
    }
    void close_reader() { close_end(ends_[0]); }
    void close_writer() { close_end(ends_[1]); }

private:
    static int give(int& end) {
        const int given = std::exchange(end, -1);
        EXPECT_EQ(fcntl(given, F_SETFL, 0), 0);
        return given;
    }
    static void close_end(int& end) {
        if (end >= 0) close(std::exchange(end, -1));
    }

    int ends_[2] = {-1, -1};
};

}  // namespace curfew::support
