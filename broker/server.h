// The broker's shell: it joins the source (intake), the sockets (links), the books page and how it
// all ends (ending) to the dispatcher. One thread.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "broker/alarms.h"
#include "broker/books_page.h"
#include "broker/checkpoint.h"
#include "broker/dispatcher.h"
#include "broker/ending.h"
#include "broker/intake.h"
#include "broker/links.h"
#include "broker/sources/source.h"
#include "common/process/daemon.h"
#include "common/tables/rate.h"

namespace curfew {

class BrokerServer : public Shell {
public:
    struct Config {
        Dispatcher::Config dispatcher;
        /// Of the source, for what is said of a message that is longer.
        std::uint64_t max_message = 1 << 20;
        Ending::Config ending;
        Duration delay{};  ///< between the starts of two tasks
        /// Where the broker keeps where it is; an empty path: nowhere.
        Checkpoint::Place checkpoint;
        /// With it: what did not complete is tried once more, once for each of these words.
        std::string wish;
        std::string events, collector, admin;  ///< endpoints; empty: in the run directory
    };
    BrokerServer(Daemon& daemon, const Config& config, std::unique_ptr<Source> source);
    /// Leaves what it would answer to `stats` in the run directory, for who asks when it is gone.
    ~BrokerServer() override;
    BrokerServer(const BrokerServer&) = delete;
    BrokerServer& operator=(const BrokerServer&) = delete;

    void wait_for(Poller& poller) override;
    Duration heartbeat() const override { return dispatcher_.config().heartbeat; }
    Instant turn(Instant now) override;
    void stop(Instant now) override { ending_.stop(now); }
    void drain(Instant now) override { ending_.drain(now); }
    bool drains() const override { return true; }
    void process_ended(Instant now, const ProcessEnd& end) override;
    std::optional<int> finished() const override;
    int unfinished() const override;
    JsonObject stats(Instant now) const override;
    std::unique_ptr<Reply> dump(Instant now, const DumpQuery& query, const JsonObject& first) const override;
    JsonObject ends(Instant now, std::optional<std::uint64_t> after) override;
    JsonObject story(Instant now, const std::string& task) const override;
    JsonObject endpoints() const override;

private:
    void write_books();
    void keep_answer();
    void keep_checkpoint(Instant now);
    [[nodiscard]] Dispatcher::Config begin(const Config& config);
    void answer_admin(Instant now);
    [[nodiscard]] JsonObject obey(Instant now, std::string_view request);
    [[nodiscard]] Rates<3>::Counts counts() const;

    Daemon& daemon_;
    const std::string wish_;
    std::unique_ptr<Checkpoint> checkpoint_;  // null: there is none
    // Before any socket: who has none here must not take those of who has
    BooksPage books_;
    Dispatcher dispatcher_;
    Intake intake_;
    Socket events_;
    Socket admin_;
    Links links_;
    Alarms alarms_;
    std::vector<Dispatcher::OutFrame> frames_;
    Rates<3> rates_;  // tasks accepted, tasks settled, attempts started
    Ending ending_;
};

}  // namespace curfew
