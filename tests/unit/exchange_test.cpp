// One exchange, from the collector's hello to the confirmation of a report, as docs/protocol.md
// shows it: what the cores say to each other is compared with the page, byte for byte.
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "broker/dispatcher.h"
#include "collector/judge.h"
#include "tests/support/frames.h"
#include "worker/handlers/simple.h"
#include "worker/session.h"

namespace curfew {
namespace {

using support::kStart;

/// The records of a frame by their names.
struct NameOf {
    std::string operator()(const wire::CollectorHello&) const { return "hello"; }
    std::string operator()(const wire::Sync&) const { return "sync"; }
    std::string operator()(const wire::Synced&) const { return "synced"; }
    std::string operator()(const wire::Backlog&) const { return "backlog"; }
    std::string operator()(const wire::Hello&) const { return "hello"; }
    std::string operator()(const wire::Admit&) const { return "admit"; }
    std::string operator()(const wire::Admitted&) const { return "admitted"; }
    std::string operator()(const wire::Welcome&) const { return "welcome"; }
    std::string operator()(const wire::Heartbeat&) const { return "heartbeat"; }
    std::string operator()(const wire::Task&) const { return "task"; }
    std::string operator()(const wire::Report&) const { return "report"; }
    std::string operator()(const wire::Decided&) const { return "decided"; }
    std::string operator()(const wire::Settled&) const { return "settled"; }
    std::string operator()(const wire::Confirm&) const { return "confirm"; }
    template <typename R>
    std::string operator()(const R&) const {
        return {};  // pings, the token: at other times, too
    }
};

std::string hex_lines(std::string_view bytes) {
    static constexpr char kDigits[] = "0123456789abcdef";
    constexpr std::size_t kPerLine = 24;
    std::string text;
    for (std::size_t i = 0; i < bytes.size(); ++i) {
        if (i % kPerLine == 0) text += i == 0 ? "    " : "\n    ";
        if (i % kPerLine != 0) text += ' ';
        text += kDigits[static_cast<unsigned char>(bytes[i]) >> 4];
        text += kDigits[static_cast<unsigned char>(bytes[i]) & 15];
    }
    return text + "\n";
}

/// The three cores, and what was said.
class Exchange {
public:
    Exchange() : judge_({.incarnation = 2}), worker_(worker_config(), echo_) {}

    std::string run() {
        for (int turn = 0; turn < 20; ++turn) {
            if (broker_.wants_message() && !accepted_) {
                accepted_ = true;
                broker_.accept(now_, {.payload = "hi"});
            }
            turn_broker();
            if (turn >= 3) turn_worker();  // when broker and collector know each other
            turn_collector();
            now_ += std::chrono::milliseconds(10);
        }
        return text_;
    }

private:
    static Dispatcher::Config broker_config() {
        Dispatcher::Config config;
        config.epoch = 7;
        config.first_sync = 0;
        config.fanout = config.attempts = 1;
        return config;
    }
    static WorkerCore::Config worker_config() {
        return {.incarnation = 3,
                .name = "w1",
                .slots = 1,
                .credit = 1,
                .pid = 4711,
                .tasks_endpoint = "ipc://t",
                .control_endpoint = "ipc://c"};
    }

    void note(const char* way, std::string_view frame) {
        const support::Frame read = support::read_frame(std::string(frame));
        std::string names;
        for (const wire::Record& record : read.records) {
            const std::string name = std::visit(NameOf{}, record);
            if (!name.empty()) names += (names.empty() ? "" : ", ") + name;
        }
        if (names.empty() || over_ || (names == "heartbeat" && text_.find(names) != std::string::npos)) return;
        over_ = names == "confirm";
        text_ += std::string(way) + ": " + names + "\n";
        text_ += hex_lines(frame.substr(0, wire::kEnvelopeSize));
        text_ += hex_lines(frame.substr(wire::kEnvelopeSize));
    }

    void turn_broker() {
        broker_.turn(now_);
        std::vector<OutFrame> frames;
        broker_.flush(now_, frames);
        for (const OutFrame& frame : frames) {
            const std::string_view bytes = frame.bytes;
            if (frame.road == Road::collector) {
                note("broker -> collector", bytes);
                judge_.receive(now_, bytes);
            } else {
                note("broker -> worker", bytes);
                frame.road == Road::tasks ? worker_.receive_tasks(now_, bytes) : worker_.receive_control(now_, bytes);
            }
        }
    }

    void turn_worker() {
        worker_.turn(now_);
        std::vector<Frame> for_collector, for_broker;
        worker_.flush(now_, for_collector, for_broker);
        for (const Frame& frame : for_broker) {
            note("worker -> broker", frame);
            broker_.receive(now_, frame);
        }
        for (const Frame& frame : for_collector) {
            note("worker -> collector", frame);
            judge_.receive(now_, frame);
        }
    }

    void turn_collector() {
        while (const OutcomeRecord* outcome = judge_.next_outcome()) {
            const std::uint64_t sync = outcome->sync;
            const Seq seq = outcome->seq;
            judge_.written(sync, seq);
        }
        std::vector<Frame> frames;
        judge_.flush(now_, frames);
        for (const Frame& frame : frames) {
            note("collector -> broker", frame);
            broker_.receive(now_, frame);
        }
    }

    Instant now_ = kStart;
    Dispatcher broker_{broker_config()};
    Judge judge_;
    ImmediateHandler echo_{false};
    WorkerCore worker_;
    bool accepted_ = false;
    bool over_ = false;  // of the exchange, all that is to be shown
    std::string text_;
};

/// The block of the page below this heading.
std::string block_of(const std::string& page, const std::string& heading) {
    const std::size_t at = page.find("\n### " + heading + "\n");
    if (at == std::string::npos) return {};
    const std::size_t begin = page.find("```\n", at) + 4;
    return page.substr(begin, page.find("```", begin) - begin);
}

TEST(Exchange, IsWhatTheProtocolsPageShows) {
    std::stringstream page;
    page << std::ifstream(CURFEW_SOURCE_DIR "/docs/protocol.md").rdbuf();
    const std::string said = Exchange().run();
    EXPECT_EQ(block_of(page.str(), "One exchange"), said) << "docs/protocol.md, \"One exchange\", is to be:\n" << said;
    EXPECT_NE(said.find("broker -> worker: confirm"), std::string::npos);
}

}  // namespace
}  // namespace curfew
