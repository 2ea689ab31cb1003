// Ends what a thread waits for at a connection, from another thread: the library waits where it
// reads and writes, and knows nobody who could call it off, but nothing waits at a socket that is
// shut down.
//
// The socket is the library's, which closes it when it likes. So it is shut down by a duplicate:
// a number of ours, which nobody else closes and nobody gets anew. Cut is for good: what is held
// after that is shut down at once.
#pragma once

#include <mutex>

namespace curfew::amqp {

class Cutter {
public:
    /// Throws std::system_error.
    Cutter();
    ~Cutter();
    Cutter(const Cutter&) = delete;
    Cutter& operator=(const Cutter&) = delete;

    // From the thread that waits.
    /// This socket is the one to be cut, until let_go(), unless there is one. False: there is no
    /// descriptor left.
    [[nodiscard]] bool hold(int socket) noexcept;
    /// The connection ends only then, though the socket was closed before.
    void let_go() noexcept;

    // From any thread.
    void cut();
    [[nodiscard]] bool is_cut() const;
    /// Readable once it was cut.
    [[nodiscard]] int descriptor() const { return event_; }

private:
    const int event_;
    mutable std::mutex mutex_;
    int held_ = -1;        // guarded by mutex_
    bool is_cut_ = false;  // as well
};

}  // namespace curfew::amqp
