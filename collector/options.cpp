#include "collector/options.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <stdexcept>
#include <system_error>

#include "collector/sinks/table.h"
#include "common/process/kinds.h"

namespace curfew {
namespace {

bool is_database(std::string_view sink) {
    return sink.starts_with("sqlite:");
}

/// Behind the kind; empty: it has none.
std::string path_of(const std::string& sink) {
    return sink.substr(std::min(sink.size(), sink.find(':') + 1));
}

/// The same for two names of one file, also of one that is not there yet.
std::filesystem::path leads_to(const std::string& path) {
    std::error_code error;
    std::filesystem::path found = std::filesystem::weakly_canonical(path, error);
    return error ? std::filesystem::path(path) : found;
}

}  // namespace

CollectorOptions::CollectorOptions(Options& options) {
    options.text("--results", config_.results, "Endpoint to bind for reports");
    options.text("--broker", config_.broker, "The broker's endpoint for events");
    options.text("--sink", sink_, "Where outcomes go: " + names_of(sink_kinds(), true));
    options.choice("--format", format_, {"raw", "json"}, "raw: results, a line each; json: all outcomes, a line each");
    options.text("--dead-letters", dead_letters_,
                 "file:PATH (appended to, JSON lines) or sqlite:PATH: tasks that did not complete go there, and not to "
                 "the sink");
    options.flag("--journal", journal_,
                 "With file:PATH: keep PATH.journal beside it, and go on where a run before has ended. Each outcome is "
                 "there once, whatever was killed");
    options.value(
        "--sync", "1s",
        "With --journal or sqlite:PATH. always: an outcome counts when the disk has it, a power loss takes none; 1s: "
        "at most those of the last second; none: what the system had not written yet (of a database it may take all)",
        [this](const std::string& text) -> std::optional<std::string> {
            if (text != "always" && text != "1s" && text != "none")
                return fmt::format("'{}' is not one of: always, 1s, none", text);
            sync_ = text;
            return std::nullopt;
        });
    options.flag("--keep-order", config_.keep_order, "Write in the order of acceptance");
    options.duration("--heartbeat", config_.heartbeat, std::chrono::milliseconds(50), std::chrono::minutes(1),
                     "As the broker's");
}

CollectorServer::Config CollectorOptions::config(const Daemon& daemon) const {
    CollectorServer::Config config = config_;
    config.grace = std::max<Duration>(daemon.grace(), std::chrono::milliseconds(100));
    config.says_failures = format_ == "raw" && dead_letters_.empty() && !is_database(sink_);
    return config;
}

void CollectorOptions::check(const Daemon& daemon) const {
    daemon.check_to_bind(config_.results);
    daemon.check_to_connect(config_.broker);
    const auto chosen = choose(sink_kinds(), "--sink", sink_);
    chosen.kind->check(daemon, chosen.rest);
    if (!dead_letters_.empty()) (void)choose(dead_letter_kinds(), "--dead-letters", dead_letters_);
    check_what_is_kept();
}

/// Flags that say how outcomes are kept, and where they are not.
void CollectorOptions::check_what_is_kept() const {
    const bool database = is_database(sink_) || is_database(dead_letters_);
    const bool file = sink_.starts_with("file:") || (is_database(sink_) && dead_letters_.starts_with("file:"));
    if (!journal_ && !database && !sync_.empty())
        throw std::invalid_argument("--sync: has no meaning without --journal or sqlite:PATH");
    if (journal_ && !file && is_database(sink_))
        throw std::invalid_argument("--journal: a database goes on without one: leave it out");
    if (journal_ && !file) throw std::invalid_argument("--journal: only --sink file:PATH can be gone on with");
    if (format_ == "json" && is_database(sink_))
        throw std::invalid_argument("--format: a database has columns, and no format: leave it out");
    if (!database || dead_letters_.empty()) return;
    if (leads_to(path_of(sink_)) == leads_to(path_of(dead_letters_)))
        throw std::invalid_argument(
            is_database(sink_) && is_database(dead_letters_)
                ? "--dead-letters: this is the database of --sink, which has all outcomes anyway: leave it out"
                : "--dead-letters: this is the file of --sink, and a database is its alone: name another");
}

std::unique_ptr<Sink> CollectorOptions::open_sink(Daemon& daemon) const {
    const auto chosen = choose(sink_kinds(), "--sink", sink_);
    SinkFlags flags = sink_flags();
    if (format_ == "json") flags.format = append_json;
    return chosen.kind->open(daemon, flags, chosen.rest);
}

SinkFlags CollectorOptions::sink_flags() const {
    SinkFlags flags;
    flags.journal = journal_;
    flags.sync = sync_ == "always" ? SyncMode::always : sync_ == "none" ? SyncMode::never : SyncMode::each_second;
    return flags;
}

/// Two writers of one pipe (or terminal, or socket) tear each other's long lines; in a file they do
/// not.
bool CollectorOptions::shares_a_pipe() const {
    struct stat one {
    }, other{};
    const bool known = sink_ == "stdout"            ? fstat(STDOUT_FILENO, &one) == 0
                       : sink_.starts_with("file:") ? stat(sink_.c_str() + 5, &one) == 0
                                                    : false;
    if (!known || !dead_letters_.starts_with("file:") || stat(dead_letters_.c_str() + 5, &other) != 0 ||
        S_ISREG(one.st_mode))
        return false;
    return one.st_dev == other.st_dev && one.st_ino == other.st_ino && !S_ISCHR(one.st_mode);
}

std::unique_ptr<Sink> CollectorOptions::open_dead_letters(Daemon& daemon) const {
    if (dead_letters_.empty()) return nullptr;
    if (shares_a_pipe())
        throw std::invalid_argument(
            "--dead-letters: this is the pipe of --sink, where lines of both would run into each other; leave it "
            "out and use --format json, which has all outcomes");
    const auto chosen = choose(dead_letter_kinds(), "--dead-letters", dead_letters_);
    SinkFlags flags = sink_flags();
    flags.format = append_json;
    flags.which = "dead-letters";
    return chosen.kind->open(daemon, flags, chosen.rest);
}

}  // namespace curfew
