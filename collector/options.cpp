#include "collector/options.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <stdexcept>
#include <system_error>
#include <utility>

#include "collector/sinks/batch_format.h"
#include "collector/sinks/results.h"
#include "collector/sinks/table.h"
#include "common/process/kinds.h"

namespace curfew {
namespace {

bool is_database(std::string_view sink) {
    return sink.starts_with("sqlite:");
}

bool is_queue(std::string_view sink) {
    return sink.starts_with("amqp:") || sink.starts_with("amqps:");
}

/// Where a sink writes; empty: to no file.
std::string path_of(const std::string& sink) {
    if (sink == "stdout") return "/dev/stdout";
    return sink.starts_with("file:") || is_database(sink) ? sink.substr(sink.find(':') + 1) : std::string();
}

/// The same for two names of one file, also of one that is not there yet.
std::filesystem::path leads_to(const std::string& path) {
    std::error_code error;
    std::filesystem::path found = std::filesystem::weakly_canonical(path, error);
    return error ? std::filesystem::path(path) : found;
}

bool is_file(const std::string& path) {
    struct stat found {};
    return stat(path.c_str(), &found) == 0 && S_ISREG(found.st_mode);
}

/// Two writers of one pipe (or terminal, or socket) tear each other's long lines.
bool are_one(const std::string& path, const std::string& with) {
    struct stat one {
    }, other{};
    if (stat(path.c_str(), &one) != 0 || stat(with.c_str(), &other) != 0 || S_ISCHR(one.st_mode)) return false;
    return one.st_dev == other.st_dev && one.st_ino == other.st_ino;
}

}  // namespace

CollectorOptions::CollectorOptions(Options& options) {
    options.text("--results", config_.results, "Endpoint to bind for reports");
    options.text("--broker", config_.broker, "The broker's endpoint for events");
    options.text("--sink", sink_, "Where outcomes go: " + names_of(sink_kinds(), true));
    options.choice(
        "--format", format_, {"raw", "json", "json-full"},
        "raw: results, a line each; json: all outcomes, a line each; json-full: those with the message, when "
        "the work began, how long it ran, how its process ended, and the end of its stderr");
    options.flag("--tag", tag_, "With --format raw: the message and a tab before each line of a result");
    options.some_text("--joblog", joblog_,
                      "A file (appended to): a line for each outcome, with tabs: number, start, seconds, worker, "
                      "attempts, end, exit, message");
    options.some_text("--results-dir", results_dir_,
                      "A folder, which is made: in it one for each message, DIR/000123/000123456 for number 123456, "
                      "with stdout, stderr and meta.json");
    options.text("--dead-letters", dead_letters_,
                 "file:PATH (appended to, JSON lines), sqlite:PATH or amqp://... (the messages): tasks that did not "
                 "complete go there, and not to the sink");
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
#ifdef CURFEW_AMQP
    login_.add(options);
#endif
    options.flag("--keep-order", config_.keep_order, "Write in the order of acceptance");
    options.duration("--heartbeat", config_.heartbeat, std::chrono::milliseconds(50), std::chrono::minutes(1),
                     "As the broker's");
}

CollectorServer::Config CollectorOptions::config(const Daemon& daemon) const {
    CollectorServer::Config config = config_;
    config.grace = std::max<Duration>(daemon.grace(), std::chrono::milliseconds(100));
    config.says_failures = format_ == "raw" && dead_letters_.empty() && !is_database(sink_) && !is_queue(sink_);
    return config;
}

void CollectorOptions::check(const Daemon& daemon) const {
    daemon.check_to_bind(config_.results);
    daemon.check_to_connect(config_.broker);
    const auto chosen = choose(sink_kinds(), "--sink", sink_);
    chosen.kind->check(daemon, chosen.rest);
    if (!dead_letters_.empty()) (void)choose(dead_letter_kinds(), "--dead-letters", dead_letters_);
    check_what_is_kept();
    check_beside();
}

/// Flags that say how outcomes are kept, and where they are not.
void CollectorOptions::check_what_is_kept() const {
    const bool database = is_database(sink_) || is_database(dead_letters_);
    const bool beside = dead_letters_.starts_with("file:") || !joblog_.empty();
    const bool file = sink_.starts_with("file:") || (is_database(sink_) && beside);
    if (!journal_ && !database && !sync_.empty())
        throw std::invalid_argument("--sync: has no meaning without --journal or sqlite:PATH");
    if (journal_ && !file && is_database(sink_))
        throw std::invalid_argument("--journal: a database goes on without one: leave it out");
    if (journal_ && !file) throw std::invalid_argument("--journal: only --sink file:PATH can be gone on with");
    if ((format_ != "raw" || tag_) && is_database(sink_))
        throw std::invalid_argument("--format, --tag: a database has columns, and no format: leave them out");
    if (!database || dead_letters_.empty()) return;
    if (leads_to(path_of(sink_)) == leads_to(path_of(dead_letters_)))
        throw std::invalid_argument(
            is_database(sink_) && is_database(dead_letters_)
                ? "--dead-letters: this is the database of --sink, which has all outcomes anyway: leave it out"
                : "--dead-letters: this is the file of --sink, and a database is its alone: name another");
}

void CollectorOptions::check_beside() const {
    if (tag_ && format_ != "raw")
        throw std::invalid_argument(
            fmt::format("--tag: has no meaning with --format {}, where an outcome has its message", format_));
    for (const auto& [flag, sink] : {std::pair("--sink", sink_), {"--dead-letters", dead_letters_}}) {
        if (!joblog_.empty() && (path_of(sink) == joblog_ || are_one(path_of(sink), joblog_)))
            throw std::invalid_argument(
                fmt::format("--joblog: '{}' is the file of {} too: name another one", joblog_, flag));
    }
    if (!results_dir_.empty()) ResultsSink::check(results_dir_);
}

Sinks::Parts CollectorOptions::open_sinks(Daemon& daemon) const {
    Sinks::Parts parts{.output = open_sink(daemon), .dead_letters = open_dead_letters(daemon)};
    if (!joblog_.empty()) {
        SinkFlags flags = sink_flags();
        flags.format = append_joblog;
        flags.which = "joblog";
        flags.header = kJoblogHeader;
        parts.beside.push_back(open_file_sink(daemon, flags, joblog_));
    }
    if (!results_dir_.empty()) parts.beside.push_back(std::make_unique<ResultsSink>(results_dir_, sync_ == "always"));
    return parts;
}

std::unique_ptr<Sink> CollectorOptions::open_sink(Daemon& daemon) const {
    const auto chosen = choose(sink_kinds(), "--sink", sink_);
    SinkFlags flags = sink_flags();
    if (format_ == "json") flags.format = append_json;
    if (format_ == "json-full") flags.format = append_json_full;
    if (tag_) flags.format = append_tagged;
    if (format_ != "raw") flags.carries = SinkFlags::Carries::json;
    return chosen.kind->open(daemon, flags, chosen.rest);
}

SinkFlags CollectorOptions::sink_flags() const {
    SinkFlags flags;
    flags.journal = journal_;
    flags.login = login_;
    flags.sync = sync_ == "always" ? SyncMode::always : sync_ == "none" ? SyncMode::never : SyncMode::each_second;
    return flags;
}

std::unique_ptr<Sink> CollectorOptions::open_dead_letters(Daemon& daemon) const {
    if (dead_letters_.empty()) return nullptr;
    const std::string dead = path_of(dead_letters_), sink = path_of(sink_);
    if (!is_file(sink) && are_one(sink, dead))
        throw std::invalid_argument(
            "--dead-letters: this is the pipe of --sink, where lines of both would run into each other; leave it "
            "out and use --format json, which has all outcomes");
    const auto chosen = choose(dead_letter_kinds(), "--dead-letters", dead_letters_);
    SinkFlags flags = sink_flags();
    flags.format = format_ == "json-full" ? append_json_full : append_json;
    flags.which = "dead-letters";
    flags.carries = SinkFlags::Carries::messages;
    return chosen.kind->open(daemon, flags, chosen.rest);
}

}  // namespace curfew
