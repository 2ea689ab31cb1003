// A small file that is replaced as a whole: who reads it finds what was said before or what is said
// now, and nothing in between, also after a power loss. It is written and synced on a thread of its
// own, as that may take as long as the disk likes. Its owner alone may read it.
//
// Owned by one object, which calls it on its thread. The file is locked as long as it is open
// (locked_file.h), and so is what takes its place.
#pragma once

#include <condition_variable>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

namespace curfew {

class ReplacedFile {
public:
    /// Makes it, empty, if it is not there. Throws std::system_error; with EWOULDBLOCK where
    /// another process has it.
    explicit ReplacedFile(std::string path);
    /// What was said last is written, unless that fails.
    ~ReplacedFile();
    ReplacedFile(const ReplacedFile&) = delete;
    ReplacedFile& operator=(const ReplacedFile&) = delete;

    /// What it held when it was opened.
    [[nodiscard]] std::string found() const;

    /// It is to hold this. What was said before and is not written yet is passed over. A full disk
    /// is waited for. Throws std::system_error where the last one could not be written.
    void replace(std::string text);
    /// Waits until what was said last is on the disk. Throws the same, and where the disk is full.
    void wait();

private:
    void work();
    void write(const std::string& text);
    void throw_if_failed() const;

    const std::string path_;
    int file_ = -1;  // locked; the thread's, once something was said
    std::mutex mutex_;
    std::condition_variable changed_;
    // Guarded by mutex_
    std::optional<std::string> next_;
    bool busy_ = false, is_waited_for_ = false, ends_ = false;
    int error_ = 0;
    std::thread thread_;
};

}  // namespace curfew
