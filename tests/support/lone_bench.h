// A broker on the bench that starts one attempt of a task at a time, and knows its collector.
#pragma once

#include "tests/support/broker_bench.h"

namespace curfew::support {

inline Dispatcher::Config lone() {
    Dispatcher::Config config;
    config.fanout = 1;
    return config;
}

struct LoneBench : BrokerBench {
    explicit LoneBench(const Config& config = lone()) : BrokerBench(config) { meet_collector(); }
    /// A worker whose first attempt has failed, and which is to be told so.
    Session add_worker_with_an_end() {
        const Session session = add_worker("w");
        start();
        say_ended({session, 1}, End::failed, "no");
        turn();
        return session;
    }
    [[nodiscard]] wire::TokenReport token(Session session) const {
        wire::TokenReport report;
        report.session = session;
        return report;
    }
};

}  // namespace curfew::support
