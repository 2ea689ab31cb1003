// The addresses of a host. libc asks each name server twice, for five seconds each, and cannot be
// told to stop: a thread of its own does that, for which nobody has to wait. There is one for a
// host at a time, however often it is asked for.
#pragma once

#include <atomic>
#include <memory>
#include <string>

#include "common/amqp/address.h"
#include "common/words/vocabulary.h"

struct addrinfo;

namespace curfew::amqp {

class Lookup {
public:
    // From any thread.
    /// The one that is under way, or has ended within a minute while nobody waited for it any more;
    /// or else a new one. Throws Lost.
    [[nodiscard]] static std::shared_ptr<const Lookup> of(const Address::Host& host);
    /// Its end was seen: the next is a new one.
    static void done_with(const Address::Host& host);

    explicit Lookup(const Address::Host& host);
    ~Lookup();
    Lookup(const Lookup&) = delete;
    Lookup& operator=(const Lookup&) = delete;

    /// Readable when it is over.
    [[nodiscard]] int over() const { return over_; }
    // When it is over:
    /// Of getaddrinfo().
    [[nodiscard]] int error() const { return error_; }
    /// As long as this object lives.
    [[nodiscard]] const addrinfo* found() const { return found_; }

private:
    void run();
    [[nodiscard]] bool is_of_use() const;

    const std::string name_, port_;
    const int over_;  // an event
    const Instant began_at_;
    addrinfo* found_ = nullptr;
    std::atomic<int> error_ = 0;  // written behind found_
};

}  // namespace curfew::amqp
