// A thread that keeps a connection to a queue server: the library waits where it reads and writes,
// and the loop never does. One that is lost is made anew, at the next host, after a pause that
// grows; only the first has to succeed.
//
//     connect, begin --> serve --Lost, Refused--> lost --a pause--> connect, begin
//                          +--closes--> goodbye, and the end
//
// The pause begins anew after a connection that has stood for a while (back_off.h): a server that
// lets in and ends it at once is not asked ten times a second.
//
// What is said there is the Talk's: its functions are called on the thread, but for the first
// begin(), which start() calls.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>

#include "common/amqp/back_off.h"
#include "common/amqp/connection.h"
#include "common/process/deep_thread.h"
#include "common/process/poller.h"

namespace curfew::amqp {

class Talk {
public:
    virtual ~Talk() = default;
    /// Of a connection that is new. Throws Lost, Refused.
    virtual void begin(Connection& connection) = 0;
    /// Does what there is to do, waits for more (Connection::next with KeptConnection::wake()), and
    /// returns when it was woken; called again and again. Throws Lost, Refused.
    virtual void serve(Connection& connection) = 0;
    /// The connection is gone.
    virtual void lost() = 0;
    /// All is said: the connection may be closed when that is wanted.
    [[nodiscard]] virtual bool has_said_all() = 0;
};

class KeptConnection {
public:
    struct State {
        std::string host;          ///< empty: not connected
        std::string trouble;       ///< why it was lost, and why there is no other yet
        Instant lost_at{};         ///< where it is not connected
        std::string server;        ///< as it calls itself
        std::uint64_t losses = 0;  ///< of connections, ever
    };

    KeptConnection(Access access, Talk& talk);
    ~KeptConnection();
    KeptConnection(const KeptConnection&) = delete;
    KeptConnection& operator=(const KeptConnection&) = delete;

    [[nodiscard]] const Access& access() const { return access_; }
    /// Connects, and begins the thread. Throws Lost, Refused; but where it is `patient` the server,
    /// and what is looked for at it, may come later.
    void start(bool patient);
    /// Ends the thread, whatever it waits for at a server; before the Talk goes.
    void stop();

    // From the loop.
    [[nodiscard]] State look() const;
    /// Says goodbye when all is said. True when that is done, or cannot be.
    [[nodiscard]] bool close();
    /// There is something for the thread.
    void wake() const;
    /// What the thread has signalled is taken note of.
    void quieten() const;
    void wait_for(Poller& poller) const { poller.add(to_loop_); }

    // From the thread.
    [[nodiscard]] int woken() const { return to_thread_; }
    /// There is something for the loop.
    void signal() const;
    /// The server does what it is for: the next connection is tried without a long pause.
    void works() { back_off_.works(); }

private:
    void work();
    void connect(std::size_t first);
    [[nodiscard]] bool serve();
    void lose(const std::string& why);
    void pause(Instant until) const;

    const Access access_;
    Talk& talk_;
    int to_loop_ = -1, to_thread_ = -1;
    Cutter cutter_;                           // of what the thread waits for in a connection
    std::unique_ptr<Connection> connection_;  // the thread's own
    std::string why_lost_;                    // the thread's own: the last time
    BackOff back_off_;                        // as well
    std::atomic<bool> ends_ = false, closes_ = false, closed_ = false;
    mutable std::mutex mutex_;
    State state_;  // guarded by mutex_
    DeepThread thread_;
};

}  // namespace curfew::amqp
