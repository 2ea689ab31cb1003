// Which endpoints a worker may claim.
#include "broker/hearsay.h"

#include <gtest/gtest.h>

#include <string>

namespace curfew {
namespace {

TEST(Hearsay, EndpointsThatAWorkerCanHaveBoundAreBelieved) {
    for (const char* endpoint :
         {"ipc:///run/curfew/w1.tasks.sock", "ipc://relative", "ipc://@abstract", "tcp://127.0.0.1:1",
          "tcp://0.0.0.0:65535", "tcp://[::1]:5555", "tcp://[fe80::1%eth0]:5555"}) {
        EXPECT_TRUE(is_bound_endpoint(endpoint)) << endpoint;
    }
}

TEST(Hearsay, JunkIsNoEndpoint) {
    for (const char* endpoint : {"",
                                 "x",
                                 "ipc://",
                                 "ipc://*",
                                 "ipc://@",
                                 "inproc://x",
                                 "pgm://eth0;239.1.1.1:5555",
                                 "vmci://1:2",
                                 "tcp://",
                                 "tcp://:1",
                                 "tcp://127.0.0.1",
                                 "tcp://127.0.0.1:",
                                 "tcp://127.0.0.1:0",
                                 "tcp://127.0.0.1:*",
                                 "tcp://127.0.0.1:65536",
                                 "tcp://127.0.0.1:-1",
                                 "tcp://127.0.0.1:+1",
                                 "tcp://127.0.0.1: 1",
                                 "tcp://127.0.0.1:1x",
                                 "tcp://*:1",
                                 "tcp://1.2.3:1",
                                 "tcp://eth0;127.0.0.1:1",
                                 "tcp://a.host.to.look.up:1",
                                 "tcp://localhost:1",
                                 "tcp://[::1:5",
                                 "tcp://[]:5",
                                 "tcp://::1:5",
                                 "ipc:///a\nb",
                                 "TCP://127.0.0.1:1"}) {
        EXPECT_FALSE(is_bound_endpoint(endpoint)) << endpoint;
    }
    EXPECT_FALSE(is_bound_endpoint(std::string_view("ipc:///a\0b", 10)));
    EXPECT_TRUE(is_bound_endpoint("ipc://" + std::string(107, 'p')));
    EXPECT_FALSE(is_bound_endpoint("ipc://" + std::string(108, 'p')));
    EXPECT_FALSE(is_bound_endpoint("tcp://[::1%" + std::string(300, 'z') + "]:1"));
}

}  // namespace
}  // namespace curfew
