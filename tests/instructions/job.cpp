// A fixed job for the pure cores, to count its instructions: a dispatcher, four workers' cores and
// a judge hand each other their frames in memory, turn by turn, under a clock that is moved by
// hand. One thread, no sockets, no system calls but those of the allocator: the same binary takes
// the same instructions each time.
//
//     curfew-core-job race|hedge|keep-order [MESSAGES]
//     curfew-core-job built                what it was built by: figures of another build do not compare
//
//     race         fanout 4, each attempt ends at once; two of the workers come late, so most of their attempts are
//                  called home before they have begun
//     hedge        fanout 2, the second attempt at p95; each attempt takes a turn, one in fifty a hundred
//     keep-order   fanout 2, each attempt ends at once; what the late workers hold keeps the others' outcomes waiting
//
// Says a line on stdout; 1 and a line on stderr if not every message was completed with its own
// bytes, if the books do not balance, or if any core was told something strange.
#include <gnu/libc-version.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "broker/dispatcher.h"
#include "collector/judge.h"
#include "worker/handlers/simple.h"
#include "worker/session.h"

namespace curfew {
namespace {

constexpr std::size_t kWorkers = 4;
constexpr std::size_t kSize = 128;    // bytes of a message
constexpr std::size_t kAtOnce = 512;  // most messages a turn, as the source has them from one read
constexpr Duration kTurn = std::chrono::milliseconds(1);
constexpr std::uint64_t kMostTurns = 1'000'000;

struct Variant {
    const char* name;
    std::uint32_t fanout;
    bool hedges;
    bool keep_order;
    std::array<std::uint64_t, kWorkers> pace;  // each worker has its turn in one of so many
};

constexpr std::array<Variant, 3> kVariants = {{
    {"race", 4, false, false, {1, 1, 2, 3}},
    {"hedge", 2, true, false, {1, 1, 1, 1}},
    {"keep-order", 2, false, true, {1, 1, 2, 3}},
}};

/// Work that takes a turn, and each fiftieth time a hundred.
class UnevenHandler final : public Handler {
public:
    explicit UnevenHandler(Slot slots) : runs_(slots) {}
    void start(Instant now, Slot slot, const Work&) override {
        runs_[slot] = {true, false, now + (++started_ % 50 == 0 ? 100 : 1) * kTurn};
    }
    void stop(Instant, Slot slot) override { runs_[slot].stopped = runs_[slot].running; }
    void turn(Instant now, std::vector<WorkEnd>& ends) override {
        for (Slot slot = 0; slot < runs_.size(); ++slot) {
            Run& run = runs_[slot];
            if (!run.running || (!run.stopped && now < run.ends_at)) continue;
            WorkEnd& end = ends.emplace_back();
            end.slot = slot;
            end.finish = run.stopped ? Finish::stopped : Finish::ok;
            end.echo = true;
            run.running = false;
        }
    }
    bool can_kill() const override { return true; }

private:
    struct Run {
        bool running = false;
        bool stopped = false;
        Instant ends_at{};
    };
    std::vector<Run> runs_;
    std::uint64_t started_ = 0;
};

struct Worker {
    std::unique_ptr<Handler> handler;
    std::unique_ptr<WorkerCore> core;
    std::uint64_t pace = 1;
    std::vector<Frame> tasks, control;  // on their way to it
};

Dispatcher::Config broker_config(const Variant& variant) {
    Dispatcher::Config config;
    config.fanout = config.attempts = variant.fanout;
    config.window = 4096;
    if (variant.hedges) config.hedging.delay = Hedging::Config::Delay::percentile;
    return config;
}

Judge::Config judge_config(const Variant& variant) {
    Judge::Config config;
    config.keep_order = variant.keep_order;
    return config;
}

/// The cores, and the frames between them.
class Ring {
public:
    Ring(const Variant& variant, std::uint64_t messages)
        : messages_(messages), broker_(broker_config(variant)), judge_(judge_config(variant)), message_(kSize, 'x') {
        for (std::size_t i = 0; i < kWorkers; ++i) {
            WorkerCore::Config config;
            config.name = "w" + std::to_string(i);
            config.tasks_endpoint = config.control_endpoint = "ipc://" + config.name;
            config.slots = variant.hedges ? 64 : 1;
            config.credit = variant.hedges ? 2 * config.slots : 16384;
            Worker& worker = workers_[i];
            if (variant.hedges) {
                worker.handler = std::make_unique<UnevenHandler>(config.slots);
            } else {
                worker.handler = std::make_unique<ImmediateHandler>(false);
            }
            worker.core = std::make_unique<WorkerCore>(config, *worker.handler);
            worker.pace = variant.pace[i];
        }
    }

    /// Admits the workers, passes all messages through and drains.
    void run() {
        while (!broker_.drained()) {
            if (++turns_ > kMostTurns) throw std::runtime_error("it does not drain");
            now_ += kTurn;
            run_broker();
            for (Worker& worker : workers_) {
                if (turns_ % worker.pace == 0) run_worker(worker);
            }
            run_collector();
        }
    }

    /// What is wrong at the end, or none.
    [[nodiscard]] std::optional<std::string> problem() const {
        const Books books = broker_.ledger().books();
        if (written_ != messages_ || books.of(Outcome::completed) != messages_)
            return "not every message was completed";
        if (wrong_ != 0) return std::to_string(wrong_) + " outcomes have the bytes of another message";
        if (!books.balanced()) return "the books do not balance";
        if (auto wrong = broker_.ledger().audit()) return wrong;
        const Dispatcher::Counts& counts = broker_.counts();
        std::uint64_t strange = counts.refused + counts.malformed + counts.surprises + judge_.counts().refused +
                                judge_.counts().malformed + judge_.counts().duplicates;
        for (const Worker& worker : workers_)
            strange += worker.core->counts().refused + worker.core->counts().malformed;
        if (strange != 0) return std::to_string(strange) + " frames or records were not understood";
        return std::nullopt;
    }

    void say(const char* name) const {
        const Books books = broker_.ledger().books();
        const auto number = [](std::uint64_t value) { return static_cast<unsigned long long>(value); };
        std::printf("%s messages=%llu attempts=%llu won=%llu late=%llu cancelled=%llu hedges=%llu turns=%llu\n", name,
                    number(messages_), number(books.started), number(books.of(End::won)), number(books.of(End::late)),
                    number(books.of(End::cancelled)), number(broker_.hedging().counts().sent), number(turns_));
    }

private:
    void run_broker() {
        for (const Frame& frame : to_broker_) broker_.receive(now_, frame);
        to_broker_.clear();
        broker_.turn(now_);
        if (broker_.roster().ready() == kWorkers) {
            for (std::size_t i = 0; i < kAtOnce && accepted_ < messages_ && broker_.wants_message(); ++i) {
                ++accepted_;
                std::memcpy(message_.data(), &accepted_, sizeof accepted_);
                broker_.accept(now_, {.payload = message_});
            }
            if (accepted_ == messages_) broker_.end_intake();
        }
        broker_.flush(now_, out_);
        for (const Dispatcher::LinkChange& change : broker_.take_link_changes()) {
            if (!change.open) continue;
            links_.resize(std::max<std::size_t>(links_.size(), change.session + 1));
            for (Worker& worker : workers_) {
                if (change.tasks_endpoint == "ipc://w" + std::to_string(&worker - workers_.data()))
                    links_[change.session] = &worker;
            }
        }
        for (Dispatcher::OutFrame& frame : out_) {
            if (frame.road == Dispatcher::Road::collector) {
                to_collector_.push_back(std::move(frame.bytes));
            } else {
                for (const Session session : frame.sessions) {
                    Worker& worker = *links_.at(session);
                    (frame.road == Dispatcher::Road::tasks ? worker.tasks : worker.control)
                        .push_back(frame.bytes.copy());
                }
            }
        }
        out_.clear();
    }

    void run_worker(Worker& worker) {
        for (const Frame& frame : worker.control) worker.core->receive_control(now_, frame);
        for (const Frame& frame : worker.tasks) worker.core->receive_tasks(now_, frame);
        worker.control.clear();
        worker.tasks.clear();
        worker.core->turn(now_);
        worker.core->flush(now_, to_collector_, to_broker_);
    }

    void run_collector() {
        for (const Frame& frame : to_collector_) judge_.receive(now_, frame);
        to_collector_.clear();
        while (const OutcomeRecord* outcome = judge_.next_outcome()) {
            // Tasks and messages have the same numbers: both count from 1.
            ++written_;
            if (outcome->result.size() != kSize ||
                std::memcmp(outcome->result.view().data(), &outcome->seq, sizeof(Seq)) != 0)
                ++wrong_;
            settled_.emplace_back(outcome->sync, outcome->seq);
        }
        for (const auto& [sync, seq] : settled_) judge_.written(sync, seq);
        settled_.clear();
        judge_.flush(now_, to_broker_);
    }

    std::uint64_t messages_;
    Dispatcher broker_;
    Judge judge_;
    std::array<Worker, kWorkers> workers_;
    Instant now_ = Instant{} + std::chrono::hours(1);
    std::uint64_t turns_ = 0, accepted_ = 0, written_ = 0, wrong_ = 0;
    std::string message_;
    std::vector<Worker*> links_;  // by session
    std::vector<Frame> to_broker_, to_collector_;
    std::vector<Dispatcher::OutFrame> out_;
    std::vector<std::pair<std::uint64_t, Seq>> settled_;
};

int run(int argc, char** argv) {
    const std::string_view name = argc > 1 ? argv[1] : "";
    if (name == "built") {
        std::printf("%s, glibc %s\n", CURFEW_BUILT_BY, gnu_get_libc_version());
        return 0;
    }
    const std::uint64_t messages = argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 20'000;
    for (const Variant& variant : kVariants) {
        if (name != variant.name) continue;
        Ring ring(variant, messages);
        ring.run();
        ring.say(variant.name);
        if (const auto problem = ring.problem()) throw std::runtime_error(*problem);
        return 0;
    }
    throw std::runtime_error("say race, hedge, keep-order or built, and how many messages");
}

}  // namespace
}  // namespace curfew

int main(int argc, char** argv) {
    try {
        return curfew::run(argc, argv);
    } catch (const std::exception& error) {
        std::fprintf(stderr, "curfew-core-job: %s\n", error.what());
        return 1;
    }
}
