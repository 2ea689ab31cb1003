#include "common/process/orders.h"

#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <system_error>

#include "common/process/log.h"

namespace curfew {
namespace {

constexpr std::array kSignals{SIGINT, SIGTERM, SIGHUP, SIGUSR1};
/// Places in the poller.
constexpr std::size_t kPlaceOfSignals = 0, kPlaceOfLifeline = 1;

}  // namespace

void Orders::listen(int lifeline) {
    sigset_t set;
    sigemptyset(&set);
    for (const int signal : kSignals) sigaddset(&set, signal);
    pthread_sigmask(SIG_BLOCK, &set, nullptr);  // libzmq's threads inherit it
    signals_ = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (signals_ < 0) throw std::system_error(errno, std::generic_category(), "signalfd");
    if (lifeline != 0) lifeline_.hold(lifeline);
}

bool Orders::stop_waits() const {
    if (lifeline_.is_there()) return lifeline_.stop_waits();
    sigset_t waiting;
    sigpending(&waiting);
    return std::any_of(kSignals.begin(), kSignals.end(),
                       [&](int signal) { return sigismember(&waiting, signal) == 1; });
}

void Orders::wait_for(Poller& poller) const {
    poller.add(signals_);
    if (lifeline_.is_there()) poller.add(lifeline_.descriptor());
}

void Orders::read(const Poller& poller, bool drains, const Obey& obey) {
    const bool first = poller.size() == 0;  // nothing was waited for
    const bool signalled = first || poller.ready(kPlaceOfSignals);
    if (lifeline_.is_there() && (signalled || poller.ready(kPlaceOfLifeline))) read_lifeline(obey);
    if (signalled) read_signals(drains, obey);
}

void Orders::read_lifeline(const Obey& obey) {
    for (const std::string& line : lifeline_.read()) read_line(line, obey);
    if (lifeline_.is_there()) return;
    orphaned_ = true;
    log::info("lifeline_closed");
    stop(obey);
}

void Orders::read_line(const std::string& line, const Obey& obey) {
    char name[65] = {};
    unsigned pid = 0;
    unsigned long long number = 0;
    if (line == "drain") {
        obey({.what = Order::What::drain});
    } else if (line == "stop") {
        log::info("stopping reason=\"launch says so\"");
        stop(obey);
    } else if (line == "alone") {
        obey({.what = Order::What::alone});
    } else if (line == "over") {
        obey({.what = Order::What::over});
    } else if (std::sscanf(line.c_str(), "died %64s %u %llu", name, &pid, &number) >= 2) {
        obey({.what = Order::What::process_ended, .end = {name, pid, number, true}});
    } else if (std::sscanf(line.c_str(), "left %64s %u %llu", name, &pid, &number) >= 2) {
        obey({.what = Order::What::process_ended, .end = {name, pid, number, false}});
    }
}

void Orders::read_signals(bool drains, const Obey& obey) {
    signalfd_siginfo info{};
    while (::read(signals_, &info, sizeof info) == static_cast<ssize_t>(sizeof info)) {
        const int signal = static_cast<int>(info.ssi_signo);
        if (signal == SIGUSR1 && drains) {
            obey({.what = Order::What::drain});
        } else if (signal == SIGUSR1 || !lifeline_.is_there() ||
                   (signal == SIGTERM && !stopping_ && !asks_launch_to_drain())) {
            log::info("stopping signal={}", signal);
            stop(obey);
        }
    }
}

bool Orders::asks_launch_to_drain() const {
    if (!lifeline_.ask_to_drain()) return false;
    log::info("term_is_a_drain note=\"launch is told; the group ends when what is in flight has\"");
    return true;
}

void Orders::stop(const Obey& obey) {
    stopping_ = true;
    obey({.what = Order::What::stop});
}

}  // namespace curfew
