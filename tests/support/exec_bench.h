// The exec handler on the bench: real processes. The oracle is outside our code: a process belongs
// to a piece of work if its environment says so, and after an end there must be none.
//
// Each test has sequence numbers of its own and waits for conditions, with a deadline, never for
// time to pass.
#pragma once

#include <dirent.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <sstream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/process/clock.h"
#include "common/process/poller.h"
#include "worker/handlers/exec.h"
#include "worker/supervisor/process_tree.h"

namespace curfew::support {

using Strings = std::vector<std::string>;

inline constexpr Duration kPatience = std::chrono::seconds(20);

inline std::string supervisor_path() {
    if (const char* path = std::getenv("CURFEW_SUPERVISOR")) return path;
#ifdef CURFEW_BIN_DIR
    return CURFEW_BIN_DIR "/curfew-supervisor";
#else
    return "./curfew-supervisor";
#endif
}

/// As far as it can be read: of a process that ends meanwhile, /proc has nothing more to say.
inline std::string contents(const std::string& path) {
    std::ostringstream read;
    read << std::ifstream(path, std::ios::binary).rdbuf();
    return read.str();
}

/// As in the third field of its stat; Z for one that is gone.
inline char state_in_proc(pid_t pid) {
    const std::string stat = contents("/proc/" + std::to_string(pid) + "/stat");
    const std::size_t name_end = stat.rfind(") ");
    return name_end == std::string::npos ? 'Z' : stat[name_end + 2];
}

/// Living processes whose environment names this piece of work.
inline std::vector<pid_t> processes_of(Seq seq) {
    const std::string mark = std::string(1, '\0') + "CURFEW_SEQ=" + std::to_string(seq) + std::string(1, '\0');
    std::vector<pid_t> found;
    const std::unique_ptr<DIR, int (*)(DIR*)> proc(::opendir("/proc"), ::closedir);
    while (const dirent* entry = ::readdir(proc.get())) {
        const std::string name = entry->d_name;
        if (name.find_first_not_of("0123456789") != std::string::npos) continue;
        const std::string environment = std::string(1, '\0') + contents("/proc/" + name + "/environ");
        const pid_t pid = std::stoi(name);
        if (environment.find(mark) != std::string::npos && state_in_proc(pid) != 'Z') found.push_back(pid);
    }
    return found;
}

/// The process that wrote its id to this file as its last act: it has ended, for its supervisor
/// too. (Its environment is gone some time before that.)
inline bool has_ended_that_wrote(const std::string& path) {
    const std::string written = contents(path);
    return !written.empty() && written.back() == '\n' && state_in_proc(std::stoi(written)) == 'Z';
}

/// Looks again and again, without handing the loop a turn.
template <typename Condition>
bool becomes_true(Condition condition) {
    for (const Instant until = Clock::now() + kPatience; Clock::now() < until; (void)::poll(nullptr, 0, 1)) {
        if (condition()) return true;
    }
    return condition();
}

class ExecHandlerTest : public testing::Test {
protected:
    ExecHandlerTest() : first_seq_(static_cast<Seq>(::getpid()) * 1000 + next_block_++ * 1'000'000'000) {}

    ~ExecHandlerTest() override {
        handler_.reset();
        for (Seq seq = first_seq_ + 1; seq <= seq_; ++seq) EXPECT_TRUE(processes_of(seq).empty()) << "seq " << seq;
        EXPECT_TRUE(descendants().empty());
        EXPECT_EQ(open_descriptors(), descriptors_before_);
    }

    ExecOptions options(Strings command) {
        ExecOptions options;
        options.supervisor_path = supervisor_path();
        options.command = std::move(command);
        // Nothing but a test of the grace itself waits for it
        options.grace = std::chrono::seconds(60);
        options.on_stderr = [this](const AttemptId&, std::string_view line) { lines_.emplace_back(line); };
        options.on_stopped_supervisor = [this](const AttemptId&, pid_t, bool killed) {
            ++(killed ? killed_ : told_to_go_on_);
        };
        return options;
    }

    void make(ExecOptions options) {
        handler_.reset();  // there is one at a time: each leaves the signal mask as it found it
        handler_ = std::make_unique<ExecHandler>(std::move(options));
    }

    void start(Slot slot, std::string_view payload = {}, Instant deadline_at = kNever) {
        const Work work{.id = {.session = 1, .number = ++seq_ - first_seq_},
                        .epoch = 7,
                        .seq = seq_,
                        .ordinal = 1,
                        .deadline_at = deadline_at,
                        .payload = payload};
        handler_->start(Clock::now(), slot, work);
    }

    /// Something wakes the loop within this time.
    bool has_news(Duration patience) {
        Poller poller;
        handler_->wait_for(poller);
        poller.wait(Clock::now() + patience);
        for (std::size_t at = 0; at < poller.size(); ++at) {
            if (poller.ready(at)) return true;
        }
        return false;
    }

    /// Does what the worker's loop does, until the condition holds.
    template <typename Condition>
    bool turn_until(Condition condition) {
        for (const Instant until = Clock::now() + kPatience; Clock::now() < until;) {
            handler_->turn(Clock::now(), ends_);
            if (condition()) return true;
            const bool soon = handler_->next_deadline() < Clock::now() + std::chrono::milliseconds(10);
            (void)has_news(std::chrono::milliseconds(soon ? 1 : 10));
        }
        return false;
    }

    WorkEnd next_end() {
        if (!turn_until([&] { return !ends_.empty(); })) {
            ADD_FAILURE() << "no end came";
            return {.slot = 0, .finish = Finish::failed, .result = {}, .error = "no end came"};
        }
        WorkEnd end = std::move(ends_.front());
        ends_.erase(ends_.begin());
        return end;
    }

    WorkEnd run(ExecOptions options, std::string_view payload = {}, Instant deadline_at = kNever) {
        make(std::move(options));
        start(0, payload, deadline_at);
        return next_end();
    }

    WorkEnd run_shell(const std::string& script, std::string_view payload = {}) {
        return run(options({"sh", "-c", script}), payload);
    }

    /// For what has to happen before a deadline on a machine that may be slow: tries with longer
    /// and longer times until one was enough.
    template <typename Try>
    static bool within_some_time(Try try_within) {
        for (Duration time = std::chrono::milliseconds(60); time < kPatience; time *= 2) {
            if (try_within(time)) return true;
        }
        return false;
    }

    /// The work says so by itself: it writes this line to stderr.
    void wait_for_line(const std::string& line) {
        EXPECT_TRUE(turn_until([&] { return std::find(lines_.begin(), lines_.end(), line) != lines_.end(); }));
    }

    void stop_and_expect_nothing_left() {
        handler_->stop(Clock::now(), 0);
        EXPECT_EQ(next_end().finish, Finish::stopped);
        EXPECT_TRUE(processes_of(seq_).empty());
    }

    /// Of a handler with one slot that does nothing.
    static pid_t only_supervisor() { return descendants().front().pid; }

    static std::ptrdiff_t open_descriptors() {
        const std::unique_ptr<DIR, int (*)(DIR*)> directory(::opendir("/proc/self/fd"), ::closedir);
        std::ptrdiff_t count = 0;
        while (::readdir(directory.get()) != nullptr) ++count;
        return count;
    }

    static inline Seq next_block_ = 1;
    const Seq first_seq_;
    Seq seq_ = first_seq_;
    std::unique_ptr<ExecHandler> handler_;
    std::vector<WorkEnd> ends_;
    Strings lines_;
    int told_to_go_on_ = 0;  ///< supervisors, after a stop
    int killed_ = 0;         ///< supervisors, since they did not
    const std::ptrdiff_t descriptors_before_ = open_descriptors();
};

}  // namespace curfew::support
