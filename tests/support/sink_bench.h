// What tests of sinks share: outcomes, a flush that says what was written, and the signals of a
// daemon.
#pragma once

#include <gtest/gtest.h>
#include <signal.h>

#include <string_view>
#include <vector>

#include "collector/sinks/descriptor.h"
#include "tests/support/frames.h"

namespace curfew::support {

inline OutcomeRecord completed(Seq seq, std::string_view result) {
    OutcomeRecord outcome;
    outcome.sync = 3;
    outcome.seq = seq;
    outcome.result = ByteStore().keep(result);
    return outcome;
}

inline std::vector<Seq> flush(Sink& sink, Instant now = kStart) {
    Sink::Written written;
    sink.flush(now, written);
    std::vector<Seq> seqs;
    for (const auto& [sync, seq] : written) {
        EXPECT_EQ(sync, 3U);
        seqs.push_back(seq);
    }
    return seqs;
}

class SinkTest : public testing::Test {
protected:
    SinkTest() {  // as the daemons do
        signal(SIGPIPE, SIG_IGN);
        signal(SIGXFSZ, SIG_IGN);
    }
};

}  // namespace curfew::support
