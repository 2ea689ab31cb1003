#include "broker/options.h"

#include <fmt/format.h>

#include <algorithm>
#include <random>
#include <utility>

#include "broker/sources/table.h"
#include "common/process/kinds.h"
#include "common/process/log.h"

namespace curfew {
namespace {

using Take = std::optional<std::string>;

Take take_hedge(const std::string& text, Hedging::Config& hedging) {
    if (text.starts_with('p')) {
        const auto percent = parse_share(text.substr(1) + "%");
        if (!percent || *percent <= 0 || *percent >= 1)
            return fmt::format("'{}' is not a percentile like p95 or p99.9", text);
        hedging.delay = Hedging::Config::Delay::percentile;
        hedging.percentile = *percent;
        return std::nullopt;
    }
    if (text == "idle") return hedging.delay = Hedging::Config::Delay::idle, std::nullopt;
    const auto delay = parse_duration(text);
    if (!delay) return fmt::format("'{}' is not 0, a duration like 20ms, a percentile like p95, or idle", text);
    hedging.delay = *delay == Duration::zero() ? Hedging::Config::Delay::race : Hedging::Config::Delay::fixed;
    hedging.fixed = *delay;
    return std::nullopt;
}

constexpr const char* kDefaultDeadline = "30s";

/// A duration of at least `least`, or none.
Take take_time(const std::string& text, Duration least, std::optional<Duration>& time) {
    if (text == "none") return time.reset(), std::nullopt;
    time = parse_duration(text);
    if (!time || *time < least || *time > std::chrono::hours(24 * 365))
        return fmt::format("'{}' is not a duration like 30s or 10m, or none", text);
    return std::nullopt;
}

/// `now,fail=3`, `soon,fail=10%`, or never.
Take take_halt(const std::string& text, std::optional<Halt>& halt) {
    if (text == "never") return halt.reset(), std::nullopt;
    const std::size_t comma = text.find(',');
    const std::string when = text.substr(0, comma), what = comma == std::string::npos ? "" : text.substr(comma + 1);
    constexpr std::string_view kFail = "fail=";
    const std::string wrong = fmt::format("'{}' is not never, or now or soon with ,fail=3 or ,fail=10%", text);
    if ((when != "now" && when != "soon") || !what.starts_with(kFail)) return wrong;
    Halt said{.now = when == "now"};
    const std::string count = what.substr(kFail.size());
    if (count.ends_with('%')) {
        const auto share = parse_share(count);
        if (!share || *share <= 0 || *share > 1) return wrong + ": a share is above 0% and at most 100%";
        said.share = *share;
    } else {
        const auto tasks = parse_count(count);
        if (!tasks || *tasks == 0) return wrong + ": a number is at least 1";
        said.tasks = *tasks;
    }
    halt = said;
    return std::nullopt;
}

/// People key side effects by `epoch-seq`, across runs and hosts: nothing but chance makes that
/// unique. 63 bits, so that it is a positive number in any language.
Epoch new_epoch() {
    static_assert(sizeof(std::random_device::result_type) == 4);
    std::random_device random;
    const Epoch epoch = (Epoch{random()} << 32 | random()) >> 1;
    return std::max<Epoch>(epoch, 1);  // 0 is none
}

}  // namespace

BrokerOptions::BrokerOptions(Options& options) {
    options.text("--source", source_, "Where messages come from: " + names_of(source_kinds(), true));
    options.text("--checkpoint", checkpoint_,
                 "With --source file:PATH: a file in which the broker keeps where it is. One that starts again goes on "
                 "there: in the same epoch, each message with the number that it had");
    options.text("--command", command_,
                 "With --checkpoint: what the work is, in words of yours. Where it was another before, that is said");
    options.some_text(
        "--retry-failed", config_.wish,
        "WORD: with --checkpoint, what did not complete in the runs before is tried once more, under new names (an "
        "epoch "
        "of its own), where the sink knows what did; once for a WORD, whichever life of the broker is given it");
    options.flag("--null", null_, "Messages of stdin and file: end with NUL, not with a newline");
    options.size("--max-message", config_.max_message, 1, wire::kPayloadBytes,
                 "Longer messages are refused and counted");
    options.count("--fanout", config_.dispatcher.fanout, 1, 10'000, "Most attempts of one task alive together");
    add_hedging(options);
    add_times(options);
    add_failures(options);
    add_limits(options);
    add_queue(options);
    options.duration("--heartbeat", config_.dispatcher.heartbeat, std::chrono::milliseconds(50),
                     std::chrono::minutes(1),
                     "Of the workers (give them the same); three in silence and a worker is gone");
    options.text("--events", config_.events, "Endpoint to bind for events of workers and collector");
    options.text("--collector", config_.collector, "The collector's endpoint for results");
    options.text("--admin", config_.admin, "Endpoint to bind for cancel, drain, pause");
}

void BrokerOptions::add_hedging(Options& options) {
    Hedging::Config& hedging = config_.dispatcher.hedging;
    options.value("--hedge", "0",
                  "0: start all at once; 20ms: the next when the last has run that long; p95: that percentile; idle: "
                  "where a slot is free and nothing waits for it",
                  [&hedging](const std::string& text) { return take_hedge(text, hedging); });
    options.value("--hedge-budget", "none",
                  "Most hedges, as a share of tasks, like 5%; ten are free, up to a hundred are saved up; not for a "
                  "race (--hedge 0)",
                  [&hedging](const std::string& text) -> Take {
                      if (text == "none") return hedging.budget.reset(), std::nullopt;
                      hedging.budget = parse_share(text);
                      if (!hedging.budget) return fmt::format("'{}' is not a share like 5%, or none", text);
                      return std::nullopt;
                  });
    options.duration("--hedge-min", hedging.shortest, Duration::zero(), std::chrono::hours(1),
                     "Least delay of a percentile");
    options.duration("--hedge-max", hedging.longest, Duration::zero(), std::chrono::hours(1),
                     "Largest delay of a percentile");
}

void BrokerOptions::add_times(Options& options) {
    options.value("--deadline", kDefaultDeadline, "Time for a task from its acceptance, or none",
                  [this](const std::string& text) -> Take {
                      deadline_text_ = text;
                      return take_time(text, Duration(1), config_.dispatcher.deadline);
                  });
    options.duration("--delay", config_.delay, Duration::zero(), std::chrono::hours(24 * 365),
                     "Least time between the starts of two tasks; further attempts of a task keep none");
    options.value(
        "--drain-timeout", "none",
        "Time for a drain; what is then in flight ends as cancelled, and the exit code is 75",
        [this](const std::string& text) { return take_time(text, Duration::zero(), config_.ending.drain_timeout); });
}

void BrokerOptions::add_failures(Options& options) {
    options.value("--attempts", "the fanout", "Failures after which a task is given up",
                  [this](const std::string& text) -> Take {
                      attempts_ = parse_count(text);
                      if (!attempts_ || *attempts_ < 1 || *attempts_ > 1'000'000)
                          return fmt::format("'{}' is not a whole number from 1 to 1000000", text);
                      return std::nullopt;
                  });
    options.value(
        "--halt", "never",
        "End early: when 3 tasks failed or expired (fail=3), or 10% of those that have their outcome and three "
        "at least (fail=10%). soon,fail=3 drains; now,fail=3 leaves what is in flight",
        [this](const std::string& text) { return take_halt(text, config_.ending.halt); });
    options.count("--poison", config_.dispatcher.poison, 0, 1'000'000,
                  "Workers that may die of a task before it is given up; 0: any number");
}

void BrokerOptions::add_limits(Options& options) {
    options.count("--window", config_.dispatcher.window, 1, wire::kMostWindow, "Most tasks in flight");
    options.size("--window-bytes", config_.dispatcher.window_bytes, 1, 1ULL << 40, "Most bytes of messages in flight");
    options.size("--backlog", config_.dispatcher.backlog_bytes, 1, 1ULL << 40,
                 "Most bytes of outcomes that wait for the sink before no more messages are taken");
    options.count("--await-workers", config_.dispatcher.await_workers, 0, 100'000,
                  "At the start, take messages when so many workers are ready, or half a second after the first");
}

void BrokerOptions::add_queue([[maybe_unused]] Options& options) {
#ifdef CURFEW_AMQP
    queue_.login.add(options);
    options.duration(
        "--consumer-timeout", queue_.consumer_timeout, std::chrono::seconds(1), std::chrono::hours(24 * 365),
        "amqp: as the server has it (consumer_timeout): who holds a message for longer loses all it holds. "
        "No task takes longer");
    options.count("--max-redeliveries", queue_.most_deliveries, 0, 1'000'000,
                  "amqp: a message that has come so often before runs alone: it may be what kills workers");
    options.duration(
        "--dedup-window", queue_.dedup_window, Duration::zero(), std::chrono::hours(24),
        "amqp: a message that comes again so soon after it has completed here (the same id, the same bytes) "
        "is acknowledged, and not run");
    options.value(
        "--on-source-lost", "finish",
        "amqp: what happens to work in flight when the server is lost, and gives its messages to others: finish "
        "(and write, so that an outcome may be there twice) or cancel (and write nothing)",
        [this](const std::string& text) -> Take {
            if (text != "finish" && text != "cancel") return fmt::format("'{}' is not finish or cancel", text);
            queue_.cancels_when_lost = text == "cancel";
            return std::nullopt;
        });
    options.flag("--keeps-failed", queue_.keeps_failed,
                 "amqp: what did not complete is acknowledged, since the sink has it; else it is rejected, and goes to "
                 "the queue's dead letters");
#endif
}

/// A task that may take longer than the server waits would run again and again.
void BrokerOptions::check_queue(const Daemon& daemon) const {
    if (!source_.starts_with("amqp:") && !source_.starts_with("amqps:")) return;
    const auto& deadline = config_.dispatcher.deadline;
    const Duration most =
        queue_.consumer_timeout - std::min<Duration>(queue_.consumer_timeout / 10, std::chrono::minutes(1));
    if (deadline && *deadline + daemon.grace() <= most) return;
    throw std::invalid_argument(fmt::format(
        "--deadline: {} and the grace are more than the queue server waits for an acknowledgement (--consumer-timeout, "
        "{} s, less a tenth, a minute at most): say a shorter --deadline, or let the server wait longer "
        "(consumer_timeout in rabbitmq.conf) and say so",
        deadline ? deadline_text_.empty() ? kDefaultDeadline : deadline_text_ : "none",
        std::chrono::duration_cast<std::chrono::seconds>(queue_.consumer_timeout).count()));
}

BrokerServer::Config BrokerOptions::config(Incarnation incarnation) const {
    BrokerServer::Config config = config_;
    Dispatcher::Config& d = config.dispatcher;
    d.incarnation = incarnation;
    d.epoch = new_epoch();
    d.first_sync = std::random_device{}();
    d.attempts = static_cast<std::uint32_t>(attempts_.value_or(d.fanout));
    config.ending.goes_on = !checkpoint_.empty();
    if (!checkpoint_.empty())
        config.checkpoint = {checkpoint_, source_.substr(std::string_view("file:").size()), null_, command_};
    d.past_deadline = deadline_text_.empty()
                          ? fmt::format("deadline exceeded: {}, the default (--deadline)", kDefaultDeadline)
                          : fmt::format("deadline exceeded: {}", deadline_text_);
    const bool idle = d.hedging.delay == Hedging::Config::Delay::idle;
    if (d.hedging.budget && (idle || d.hedging.delay == Hedging::Config::Delay::race))
        log::warn("hedge_budget_unused reason={} next=\"say --hedge p95, or another delay\"",
                  idle ? "\"--hedge idle starts where a slot is free: the load bounds it\""
                       : "\"--hedge 0 starts all at once, which no budget bounds\"");
    if (idle) d.hedging.budget.reset();
    return config;
}

std::unique_ptr<Source> BrokerOptions::open_source(Daemon& daemon) const {
    const auto chosen = choose(source_kinds(), "--source", source_);
    return chosen.kind->open(
        daemon, {.separator = null_ ? '\0' : '\n', .max_message = config_.max_message, .queue = queue_}, chosen.rest);
}

void BrokerOptions::check(const Daemon& daemon) const {
    daemon.check_to_bind(config_.events);
    daemon.check_to_bind(config_.admin);
    daemon.check_to_connect(config_.collector);
    const auto chosen = choose(source_kinds(), "--source", source_);
    chosen.kind->check(daemon, chosen.rest);
    check_queue(daemon);
    if (!checkpoint_.empty() && !source_.starts_with("file:"))
        throw std::invalid_argument("--checkpoint: only --source file:PATH can hand its messages over again");
    if (!config_.wish.empty() && checkpoint_.empty())
        throw std::invalid_argument("--retry-failed has no meaning without --checkpoint");
    if (!command_.empty() && checkpoint_.empty())
        throw std::invalid_argument("--command has no meaning without --checkpoint");
}

}  // namespace curfew
