// A folder for each message, by its number: DIR/000123/000123456, a thousand of them in each folder
// of the first kind. In it stand
//
//     stdout                  the result, as it is; only of what has completed
//     stderr, or stderr.end   what the work has said there: all of it, or the end
//     meta.json               what --format json-full says, without the result
//
// A folder is made whole under a name that begins with a dot, and then takes its own in one step,
// in the place of one that is there. So a reader finds all of it or nothing, and a kill leaves one
// folder with a dot at most, which goes when its message comes again.
//
// DIR/.curfew-results says that DIR is ours, and is locked. Folders are made on a thread of its
// own, in the order of put(), so a slow disk does not hold the loop. A full disk is waited for;
// each other error is thrown by flush(). After a power loss folders may be missing or empty, unless
// `synced`: then an outcome counts when its folder is on the disk (a syncfs for all that came
// meanwhile).
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "collector/sinks/disk_space.h"
#include "collector/sinks/journaled_file.h"
#include "collector/sinks/sink.h"

namespace curfew {

/// What is in such a folder, as bytes.
struct ResultFolder {
    std::uint64_t sync = 0;
    Seq seq = 0;
    bool has_result = false, has_errors = false, errors_are_cut = false;
    std::string result, errors, meta;
    [[nodiscard]] std::size_t size() const { return result.size() + errors.size() + meta.size(); }
};

/// Makes folders, one after the other. On one thread.
class ResultFolders {
public:
    /// `directory`: of DIR. Stays the caller's.
    explicit ResultFolders(int directory) : directory_(directory) {}
    ~ResultFolders();
    ResultFolders(const ResultFolders&) = delete;
    ResultFolders& operator=(const ResultFolders&) = delete;
    /// Returns errno, or 0; then nothing of it is there, or a folder with a dot.
    [[nodiscard]] int make(const ResultFolder& folder);

private:
    [[nodiscard]] int enter_group(std::uint64_t number);
    [[nodiscard]] int put_in_place(const std::string& made, const std::string& name) const;

    const int directory_;
    int group_ = -1;  // open: that of the last folder
    std::uint64_t group_number_ = 0;
};

class ResultsSink final : public Sink {
public:
    /// Makes DIR if it is not there. Throws Unusable where it is not ours and not empty, is no
    /// folder, or somebody else writes there.
    ResultsSink(const std::string& directory, bool synced);
    /// Ends when the folder that is being made is there.
    ~ResultsSink() override;

    /// Throws what the constructor would throw, as far as that is seen without making anything.
    static void check(const std::string& directory);

    void put(const OutcomeRecord& outcome) override;
    void flush(Instant now, Written& written) override;
    void forget_waiting() override;
    void wait_for(Poller& poller) override { poller.add(event_); }
    [[nodiscard]] std::size_t waiting() const override { return waiting_; }
    [[nodiscard]] std::size_t waiting_bytes() const override { return waiting_bytes_; }
    [[nodiscard]] std::uint64_t bytes() const override { return bytes_; }
    [[nodiscard]] std::string_view waits_for() const override { return space_.waits() ? "space" : ""; }

private:
    struct Made {
        std::uint64_t sync = 0;
        Seq seq = 0;
        std::size_t size = 0;
    };
    void work();
    [[nodiscard]] bool make(ResultFolders& folders, const ResultFolder& folder, std::vector<Made>& made);
    [[nodiscard]] bool wait_for_space();
    void publish(std::vector<Made>& made);
    void fail(int error);

    const std::string path_;
    const bool synced_;
    WrittenFile marker_;  // its lock is that of DIR
    int directory_ = -1, event_ = -1;
    DiskSpace space_;
    std::size_t waiting_ = 0, waiting_bytes_ = 0;
    std::uint64_t bytes_ = 0;

    struct Shared {
        std::deque<ResultFolder> asked;
        std::vector<Made> made;
        int error = 0;
        bool full = false, ends = false;
    };
    std::mutex mutex_;
    std::condition_variable asks_;
    Shared shared_;  // guarded by mutex_
    std::thread thread_;
};

}  // namespace curfew
