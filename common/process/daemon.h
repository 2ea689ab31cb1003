// The skeleton of every process: flags that all have, run directory and lock, log, signals,
// lifeline, ready, monitor socket, the loop, the exit. A process adds a Shell: its sockets, and
// what it does in a turn.
//
//     main: Daemon daemon(role, what it is); own flags on daemon.options(); return daemon.run(argc, argv, make_shell);
//
// One thread owns everything here; while the shell is made another looks for a stop (early_stop.h).
// Signals and what launch says are events of the loop (common/process/orders.h): a stop ends the
// process within --grace, whatever its peers do.
#pragma once

#include <sys/resource.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "common/look/reply.h"
#include "common/process/answers.h"
#include "common/process/clock.h"
#include "common/process/options.h"
#include "common/process/orders.h"
#include "common/process/poller.h"
#include "common/process/run_dir.h"
#include "common/process/sockets.h"
#include "common/process/upkeep.h"
#include "common/words/vocabulary.h"

namespace curfew {

class Shell {
public:
    virtual ~Shell() = default;
    /// What its peers expect to hear from it in; it judges their silence by the same.
    [[nodiscard]] virtual Duration heartbeat() const = 0;
    /// The process stood still for so long (common/process/clock.h). Before the turn that follows.
    virtual void stood_still(Instant now, Duration gap) { (void)now, (void)gap; }
    /// What wakes the loop, asked anew before each wait. Appends.
    virtual void wait_for(Poller& poller) = 0;
    /// Reads everything there is, then acts, then sends. Returns when it wants its next turn at the
    /// latest.
    virtual Instant turn(Instant now) = 0;
    /// Stop, within grace. turn() goes on being called until finished().
    virtual void stop(Instant now) = 0;
    virtual void drain(Instant now) { (void)now; }
    /// USR1 drains it. Else USR1 is a stop of this process alone, as launch starts it again.
    [[nodiscard]] virtual bool drains() const { return false; }
    /// Launch saw a process end.
    virtual void process_ended(Instant now, const ProcessEnd& end) { (void)now, (void)end; }
    /// Launch saw the broker die, and starts it again.
    virtual void alone(Instant now) { (void)now; }
    /// Launch saw the broker end well: nobody is left to hear what this process still has to say. A
    /// stop follows.
    virtual void over() {}
    /// The exit code, once there is nothing more to do.
    [[nodiscard]] virtual std::optional<int> finished() const = 0;
    /// The exit code when grace was over first.
    [[nodiscard]] virtual int unfinished() const { return 0; }
    /// For the monitor: what this process is about, its live attempts (behind the members that come
    /// `first`), and, where somebody follows them, the ends of attempts after the `after`th. The
    /// shell outlives its answers.
    [[nodiscard]] virtual JsonObject stats(Instant now) const = 0;
    [[nodiscard]] virtual std::unique_ptr<Reply> dump(Instant now, const DumpQuery& query,
                                                      const JsonObject& first) const = 0;
    [[nodiscard]] virtual JsonObject ends(Instant now, std::optional<std::uint64_t> after) {
        (void)now, (void)after;
        return std::move(JsonObject().add("error", "only the broker says what ends"));
    }
    /// When what happened to this task: as its broker knows it, or its work here.
    [[nodiscard]] virtual JsonObject story(Instant now, const std::string& task) const {
        (void)now, (void)task;
        return std::move(JsonObject().add("error", "only the broker and workers know the story of a task"));
    }
    /// Endpoints that were bound, each by its name: for --ready-fd.
    [[nodiscard]] virtual JsonObject endpoints() const = 0;
};

class Daemon {
public:
    /// `role`: broker, worker, collector. The program is called curfew-`role`.
    Daemon(std::string role, const std::string& what_it_is);
    ~Daemon();

    [[nodiscard]] Options& options() { return options_; }

    /// Parses, checks, sets up, runs the loop, cleans up; the exit code. `check` judges what was
    /// said, and opens nothing; with --check that is all. `make` builds the shell. What they throw
    /// (std::invalid_argument, Unusable, EndpointError, RunDirError, std::system_error) becomes a
    /// clear line and an exit code.
    int run(int argc, const char* const* argv, const std::function<void()>& check,
            const std::function<std::unique_ptr<Shell>()>& make);

    // For check(): the form of an endpoint that was said (none: the default is fine), and who may
    // be at its other end.
    void check_to_bind(const std::string& endpoint, Reach allowed = Reach::this_user) const;
    void check_to_connect(const std::string& endpoint, Reach allowed = Reach::this_user) const;

    // For make():
    [[nodiscard]] const std::string& name() const { return name_; }
    void set_default_name(std::string name) { name_ = std::move(name); }
    [[nodiscard]] RunDir& run_dir() { return *run_dir_; }
    [[nodiscard]] const RunDir& run_dir() const { return *run_dir_; }
    [[nodiscard]] Sockets& sockets() { return *sockets_; }
    [[nodiscard]] Duration grace() const { return flags_.grace; }
    /// The soft limit of descriptors that this process was started with, and its own before it
    /// raised it: for what it starts.
    [[nodiscard]] rlim_t descriptors_allowed() const { return descriptors_allowed_; }
    [[nodiscard]] bool has_lifeline() const { return orders_.has_lifeline(); }
    /// Of the pipe, as its other end sees it too; 0: there is none.
    [[nodiscard]] std::uint64_t lifeline_number() const { return orders_.lifeline_number(); }

private:
    [[nodiscard]] Reach reach(Reach allowed) const { return flags_.insecure ? Reach::anybody : allowed; }
    [[nodiscard]] std::optional<int> judge(const std::function<void()>& check) const;
    [[nodiscard]] std::unique_ptr<Shell> set_up(const std::function<std::unique_ptr<Shell>()>& make);
    void leave_now();
    void say_ready(const Shell& shell) const;
    int loop(Shell& shell);
    void watch(Shell& shell);
    void wait(Shell& shell, Instant until);
    void obey(Shell& shell, Instant now, const Order& order);
    void begin_stop(Shell& shell, Instant now);
    [[nodiscard]] Duration work_time() const;
    [[nodiscard]] std::unique_ptr<Reply> begin_reply(Shell& shell, Instant now, std::string_view request) const;
    [[nodiscard]] JsonObject about_itself(Instant now) const;
    void clean_up();
    void leave_word(int code, bool began);

    /// As they are called on the command line.
    struct Flags {
        std::string run_dir, log_level = "warn", monitor;
        std::uint64_t ready_fd = 0, lifeline = 0;
        Duration grace = std::chrono::seconds(1);
        bool insecure = false;
    };

    const std::string role_;
    std::string name_;
    Options options_;
    Flags flags_;

    std::unique_ptr<RunDir> run_dir_;
    std::optional<Sockets> sockets_;
    std::optional<Answers> answers_;
    rlim_t descriptors_allowed_ = RLIM_INFINITY;
    Orders orders_;
    Instant started_at_{};
    std::optional<StandstillWatch> standstill_;
    std::optional<Instant> stop_at_;
    Poller poller_;
    Upkeep upkeep_;
};

}  // namespace curfew
