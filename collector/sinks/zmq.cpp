#include "collector/sinks/zmq.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <numeric>
#include <system_error>

#include "common/process/log.h"

namespace curfew {
namespace {

// At what nobody tells of: the kernel's buffer
constexpr auto kLook = std::chrono::milliseconds(2);

}  // namespace

ZmqSink::ZmqSink(std::unique_ptr<PeerWatch> watch, Socket socket, Format format)
    : watch_(std::move(watch)),
      socket_(std::move(socket)),
      format_(format),
      endpoint_(socket_->endpoint()),
      wait_("zmq:" + endpoint_) {
    log::info("sink_connects endpoint={} reader=\"a PULL that binds there\"", endpoint_);
}

ZmqSink::~ZmqSink() {
    if (!socket_) return;
    socket_->drop_at_end();  // no orderly end: all patience is used, or nobody is there
    socket_->report_no_more();
}

void ZmqSink::put(const OutcomeRecord& outcome) {
    Pending& next = pending_.emplace_back();
    format_(next.bytes, outcome);
    next.bytes.shrink_to_fit();
    waiting_bytes_ += next.bytes.size();
    next.sync = outcome.sync;
    next.seq = outcome.seq;
}

void ZmqSink::forget_waiting() {
    pending_.clear();
    waiting_bytes_ = 0;
}

void ZmqSink::flush(Instant now, Written& written) {
    look_at_reader(now);
    full_ = false;
    for (; !pending_.empty(); pending_.pop_front()) {
        const Pending& next = pending_.front();
        // A frame of its own needs no newline behind it; no frame at all for what raw has nothing
        // for.
        std::string_view bytes = next.bytes;
        if (!bytes.empty()) bytes.remove_suffix(1);
        if (!next.bytes.empty() && !send(bytes)) break;
        waiting_bytes_ -= next.bytes.size();
        written.emplace_back(next.sync, next.seq);
    }
    if (pending_.empty() || watch_->there()) return wait_.over(now);
    wait_.waits(now, "a reader", "this side connects, the reader binds a PULL at that endpoint");
}

/// Only while somebody is there, also in our eyes: what we count as given to him is what he was
/// given.
bool ZmqSink::send(std::string_view bytes) {
    if (!watch_->there()) return false;
    if (!socket_->send(bytes)) {
        full_ = true;
        return false;
    }
    ++given_;
    sent_ += bytes.size();
    last_sizes_.push_back(bytes.size());
    if (last_sizes_.size() > kSendMark) last_sizes_.pop_front();
    return true;
}

void ZmqSink::look_at_reader(Instant now) {
    const std::uint64_t before = watch_->left();
    watch_->read(now);
    if (watch_->left() != before && given_ > 0) reader_has_gone();
    if (watch_->gave_up(now)) {
        throw std::system_error(EPROTO, std::generic_category(),
                                fmt::format("who binds at the sink zmq:{} is no PULL of ZeroMQ", endpoint_));
    }
}

void ZmqSink::reader_has_gone() const {
    throw std::system_error(ECONNRESET, std::generic_category(),
                            fmt::format("the reader of the sink zmq:{} has gone: up to {} outcomes may not have "
                                        "arrived; a reader has to stay until the group has ended",
                                        endpoint_, given_));
}

/// Whether libzmq takes more is all that it says of what it holds: while it does not, that may be
/// all of the mark.
std::size_t ZmqSink::held_bytes() const {
    return full_ ? std::accumulate(last_sizes_.begin(), last_sizes_.end(), std::size_t{0}) : 0;
}

void ZmqSink::wait_for(Poller& poller) {
    watch_->wait_for(poller);
    // Else nobody would take the news, and it would spin
    if (socket_ && full_) poller.add(socket_->news_descriptor());
}

Instant ZmqSink::next_deadline() const {
    return std::min({retry_at_, watch_->next_deadline(), wait_.next_deadline()});
}

// ---- the end -----------------------------------------------------------------------------------

bool ZmqSink::close(Instant now, Instant until) {
    if (closed_) return true;
    look_at_reader(now);
    if (given_ == 0) return closed_ = true;
    if (socket_) {
        socket_->linger_at_end(std::max(until - now, Duration::zero()));
        watch_->hold();
        socket_.reset();
    }
    // libzmq tells that the linger is over, and not that nothing was left of it: who sent all did
    // so before the time.
    closed_ = now < until && has_left();
    if (closed_) watch_->let_go();
    retry_at_ = closed_ ? kNever : now + kLook;
    return closed_;
}

/// All of it, to where the reader is.
bool ZmqSink::has_left() const {
    if (!watch_->closed()) return false;
    if (watch_->in_kernel().value_or(0) > 0) return false;
    if (watch_->hung_up()) reader_has_gone();  // what he has not read went with him
    return true;
}

}  // namespace curfew
