#include "common/amqp/kept_connection.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <system_error>
#include <utility>

#include "common/amqp/failure.h"

namespace curfew::amqp {
namespace {

using SystemClock = std::chrono::steady_clock;

/// The library reads tables in tables by recursion. A level costs who sends it 5 bytes, and this
/// stack 100 to 125 (librabbitmq 0.11, amd64).
constexpr std::size_t kStack = 50 * Connection::kLongestHeaders;

int make_event() {
    const int event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (event < 0) throw std::system_error(errno, std::generic_category(), "eventfd");
    return event;
}

void raise(int event) {
    const std::uint64_t one = 1;
    (void)!::write(event, &one, sizeof one);
}

void lower(int event) {
    std::uint64_t events = 0;
    (void)!::read(event, &events, sizeof events);
}

}  // namespace

KeptConnection::KeptConnection(Access access, Talk& talk)
    : access_(std::move(access)), talk_(talk), to_loop_(make_event()), to_thread_(make_event()) {}

KeptConnection::~KeptConnection() {
    stop();
    ::close(to_loop_);
    ::close(to_thread_);
}

void KeptConnection::start(bool patient) {
    const auto forgive = [&](const std::exception& error) {
        state_.trouble = error.what();
        state_.lost_at = SystemClock::now();
    };
    try {
        connect(0);
    } catch (const Lost& error) {
        if (!patient) throw;
        forgive(error);
    } catch (const Refused& error) {
        if (!patient || error.code != kNotFound) throw;
        forgive(error);
    }
    thread_.begin(kStack, [this] { work(); });
}

void KeptConnection::stop() {
    if (!thread_.joinable()) return;
    ends_ = true;
    cutter_.cut();
    wake();
    thread_.join();
}

// ---- the loop's side ---------------------------------------------------------------------------

KeptConnection::State KeptConnection::look() const {
    const std::lock_guard lock(mutex_);
    return state_;
}

bool KeptConnection::close() {
    if (closed_ || look().host.empty()) return true;
    closes_ = true;
    wake();
    return false;
}

void KeptConnection::wake() const {
    raise(to_thread_);
}

void KeptConnection::quieten() const {
    lower(to_loop_);
}

void KeptConnection::signal() const {
    raise(to_loop_);
}

// ---- the thread --------------------------------------------------------------------------------

void KeptConnection::work() {
    for (std::size_t tries = 1;; ++tries) {
        try {
            if (connection_ == nullptr) connect(tries);
            while (!serve()) {
            }
            return;
        } catch (const Lost& error) {
            lose(error.what());
        } catch (const Refused& error) {
            lose(error.what());
        }
        const Instant now = SystemClock::now();
        pause(now + back_off_.lost(now));
        if (ends_ || closes_) return;
    }
}

void KeptConnection::connect(std::size_t first) {
    auto connection = std::make_unique<Connection>(access_, first, cutter_);
    talk_.begin(*connection);
    back_off_.stands(SystemClock::now());
    {
        const std::lock_guard lock(mutex_);
        connection_ = std::move(connection);
        state_.host = connection_->host();
        state_.server = connection_->server();
        state_.trouble.clear();
    }
    signal();
}

/// True when it is over.
bool KeptConnection::serve() {
    lower(to_thread_);
    if (ends_) return true;
    const bool closes = closes_;  // before what is said last is looked at
    talk_.serve(*connection_);
    if (ends_) return true;
    if (!closes || !talk_.has_said_all()) return false;
    connection_->close();
    closed_ = true;
    signal();
    return true;
}

void KeptConnection::lose(const std::string& why) {
    std::unique_ptr<Connection> gone;
    {
        const std::lock_guard lock(mutex_);
        gone = std::move(connection_);
        if (gone != nullptr) {
            ++state_.losses;
            state_.lost_at = SystemClock::now();
            why_lost_ = why;
        }
        state_.host.clear();
        state_.trouble = gone != nullptr || why_lost_.empty() ? why : why_lost_ + "; now: " + why;
    }
    gone.reset();
    talk_.lost();
    signal();
}

void KeptConnection::pause(Instant until) const {
    while (!ends_ && !closes_) {
        const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(until - SystemClock::now()).count();
        if (left <= 0) return;
        pollfd woken{to_thread_, POLLIN, 0};
        ::poll(&woken, 1, static_cast<int>(left) + 1);
        lower(to_thread_);
    }
}

}  // namespace curfew::amqp
