// One sample of each record type with its golden bytes: for the tests of the codec, and for whoever
// writes another one.
#pragma once

#include <string_view>

#include "common/wire/wire.h"

namespace curfew::support {

inline const Intervals kTwo{{1, 2}, {9, 9}};

// clang-format off

/// What a broker tells its workers.
template <typename Check>
void each_sample_to_workers(Check&& check) {
    using namespace wire;
    check(Task{1, 2, 3, 4, 5, 6, "id", "pay"}, "9901010203040506c4026964c403706179");
    check(Task{1, 2, 3, 4, 5, 6, std::nullopt, "pay", "p"}, "9a01010203040506c0c403706179c40170");
    check(SharedTasks{{{1, 2, 1}, {3, 4, 2}}, 5, 2, -1, 7, "i"}, "9710929301020193030402" "0502ff07c40169");
    check(Token{7}, "920207");
    check(Welcome{1, 2, 3, 4}, "950301020304");
    check(Ping{9, 1, 2}, "9404090102");
    check(Cancel{CancelReason::deadline, kTwo}, "9305029401020909");
    check(Confirm{kTwo}, "92069401020909");
    check(Resend{kTwo}, "92079401020909");
    check(Recall{7, kTwo}, "9311079401020909");
    check(Gone{}, "9108");
}

/// What a worker tells broker and collector.
template <typename Check>
void each_sample_of_workers(Check&& check) {
    using namespace wire;
    check(Hello{1, 2, "name", "pool", 3, 4, 5, "t", "c", 1, 6, 7, 8},
          "9e0a0102c4046e616d65c404706f6f6c030405c40174c4016301060708");
    check(Heartbeat{3, 4, 5}, "940b030405");
    check(Report{1, 2, ReportKind::failed, 3, 4, 5, std::nullopt, "why", "res"},
          "9a0c010203030405c0c403776879c403726573");
    check(Report{1, 2, ReportKind::ok, 3, 4, 5, "id", "", "res", WorkDetails{6, 7, 8, 9, 10, "err", "pay"}},
          "9c0c010201030405c4026964c400c403726573" "97060708090ac403657272c403706179c0");
    check(Report{1, 2, ReportKind::ok, 3, 4, 5, "id", "", "res", std::nullopt, "p"},
          "9c0c010201030405c4026964c400c403726573c0c40170");
    check(TokenReport{1, 2, kTwo, {{1, 1}}, {{2, 2}}, {}, {{9, 9}}}, "980d0102940102090992010192020290920909");
    check(Answered{3, 7}, "93120307");
    check(Bye{3}, "920e03");
}

/// What broker and collector tell each other.
template <typename Check>
void each_sample_of_the_pair(Check&& check) {
    using namespace wire;
    check(Sync{4, kTwo, {{5, {6, 7}}}, {{6, "n", "p", {{1, 3}}}}, 8, 1, 9, kTwo},
          "99140494010209099193050607919406c4016ec401709201030801099401020909");
    check(BrokerPing{4, 5, 6}, "9415040506");
    check(Admit{1, "n", "p"}, "941601c4016ec40170");
    check(SessionGone{1}, "921701");
    check(Lose{1, kTwo}, "9318019401020909");
    check(Verdict{1, Outcome::expired, "id", "why", 2, 3, {{1, "w", End::lost, "e"}}, "m", 4, 5, 6, "p", 1},
          "9e190103c4026964c4037768790203919401c4017706c40165c4016d040506c4017001");
    check(CollectorHello{1, kTwo, 2, 25, 9}, "961e019401020909021909");
    check(Synced{kTwo, {{5, Outcome::failed, {6, 7}}}, 1, 3, kTwo}, "961f94010209099194050206070103"
                                                                           "9401020909");
    check(Decided{1, 2, 3, 4, 5}, "96200102030405");
    check(Settled{Outcome::cancelled, kTwo}, "9321049401020909");
    check(Ended{1, End::expired, kTwo, "e", 1}, "962201059401020909c4016501");
    check(Admitted{1}, "922301");
    check(Refused{1, kTwo}, "9324019401020909");
    check(Backlog{5}, "922505");
    check(Complaint{1, "w"}, "932601c40177");
    check(CollectorPing{5, 6}, "93270506");
}

// clang-format on

/// Calls check(record, golden bytes in hex) for each record type.
template <typename Check>
void each_sample(Check&& check) {
    each_sample_to_workers(check);
    each_sample_of_workers(check);
    each_sample_of_the_pair(check);
}

}  // namespace curfew::support
