// The run directory of a group: the sockets, a lock file for each process in it, the books. Mode
// 0700, owned by us: one that is not there is made so, one that is there and open to others is
// refused, since it is not ours to change.
//
// A lock file holds the incarnation of its process, so that the newer of two lives is known: it is
// the time of the start in milliseconds, or one more than the last, whichever is greater; it is
// never compared with a clock elsewhere. The lock is flock(2): it ends with its process, however
// that ends.
#pragma once

#include <stdexcept>
#include <string>
#include <vector>

#include "common/words/vocabulary.h"

namespace curfew {

struct RunDirError : std::runtime_error {
    explicit RunDirError(const std::string& message, int error_number = 0)
        : std::runtime_error(message), error(error_number) {}
    int error;  ///< errno where the system refused; 0: the folder is none that we may use
};

/// The directory used when nobody says another.
[[nodiscard]] std::string default_run_dir();

class RunDir {
public:
    /// Makes the directory if need be, and takes the lock `name`.lock in it. Throws RunDirError.
    RunDir(std::string path, const std::string& name);
    ~RunDir();
    RunDir(const RunDir&) = delete;
    RunDir& operator=(const RunDir&) = delete;

    [[nodiscard]] const std::string& path() const { return path_; }
    [[nodiscard]] std::string socket(const std::string& name) const { return "ipc://" + path_ + "/" + name + ".sock"; }
    [[nodiscard]] Incarnation incarnation() const { return incarnation_; }
    /// The last life under this lock did not end in an orderly way.
    [[nodiscard]] bool crashed_before() const { return crashed_before_; }
    /// Takes what there is once in a run directory, as the place of its collector: `what`.lock,
    /// until the end. Throws RunDirError where another process has it.
    void claim(const std::string& what);
    /// Makes the directory and the lock files anew where somebody has removed them. False if there
    /// was something to do.
    bool keep();
    /// This life ends in an orderly way.
    void ended_well();
    /// This life ends before it has begun: what the one before has left behind is as it was.
    void never_began();
    /// The group's launch is gone, and this life ends: gives up its lock. The last of the group to
    /// do so removes what the group has made here; and the directory, if launch made it.
    void leave_orphaned();

private:
    struct Claim {
        std::string file;
        int descriptor;
    };

    void take_lock(const std::string& name);
    bool keep_lock();
    [[nodiscard]] static bool keep_claim(Claim& claim);
    [[nodiscard]] bool others_live() const;
    void remove_made() const;

    std::string path_;
    std::string lock_file_;
    int lock_ = -1;
    std::vector<Claim> claims_;
    Incarnation incarnation_ = 0;
    bool crashed_before_ = false;
};

}  // namespace curfew
