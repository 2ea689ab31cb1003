#include "worker/supervisor/loop.h"

#include <sys/signalfd.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

namespace curfew {
namespace {

using namespace std::chrono_literals;

/// What ends sooner is over before anybody could ask for the pid.
constexpr Duration kTellAfter = 5ms;

}  // namespace

Loop::Loop(OwnedDescriptor link, OwnedDescriptor child_signals, Duration grace, Carrier& carrier)
    : carrier_(carrier),
      child_signals_(std::move(child_signals)),
      link_(std::move(link)),
      child_(grace),
      emit_([this](std::string_view line) {
          if (link_) link_->queue(LinkRecordKind::stderr_line, run_, line);
      }) {}

void Loop::run() {
    while (link_ || child_.exists()) turn();
}

void Loop::turn() {
    Items items = poll_items();
    if (!wait(items)) return;
    const Instant now = Clock::now();
    if (items[kIn].revents != 0) carrier_.feed();
    if (items[kErr].revents != 0) carrier_.take_errors();  // before the end that they explain
    if (items[kOut].revents != 0) carrier_.listen(now);
    if (items[kChildren].revents != 0) {
        signalfd_siginfo info;
        (void)!::read(child_signals_.get(), &info, sizeof(info));
        reap(now);
    }
    if (items[kLink].revents != 0) read_link();
    fire_timers(now);
    if (link_ && link_->wants_to_send() && !link_->flush()) abandon();
}

// ---- waiting -----------------------------------------------------------------------------------

Loop::Items Loop::poll_items() const {
    Items items;
    items.fill(pollfd{.fd = -1, .events = POLLIN, .revents = 0});
    if (link_) items[kLink].fd = link_->descriptor();
    if (link_ && link_->wants_to_send()) items[kLink].events = POLLIN | POLLOUT;
    items[kChildren].fd = child_signals_.get();
    if (!child_.exists()) return items;
    const PipeEnds ends = carrier_.waits_for();
    items[kIn] = {.fd = ends.in, .events = POLLOUT, .revents = 0};
    items[kOut].fd = ends.out;
    items[kErr].fd = ends.err;
    return items;
}

/// False: nothing is known of the items.
bool Loop::wait(Items& items) {
    const Instant due = next_deadline();
    if (due == kNever) {
        standstill_.forget();
        return ::ppoll(items.data(), items.size(), nullptr, nullptr) >= 0;
    }
    look();
    const Duration left = std::clamp<Duration>(due - Clock::now(), Duration::zero(), kLookEvery);
    const timespec patience{.tv_sec = std::chrono::duration_cast<std::chrono::seconds>(left).count(),
                            .tv_nsec = (left % 1s).count()};
    if (::ppoll(items.data(), items.size(), &patience, nullptr) < 0) return false;
    look();
    return true;
}

/// While something is due: whether it stood still, at least each second, so that the deadline moves
/// by that.
void Loop::look() {
    Clock::stand(standstill_.look(Clock::now()));
}

Instant Loop::next_deadline() const {
    const Instant due = std::min(child_.next_deadline(), carrier_.next_deadline());
    return in_hand_ ? std::min({due, in_hand_->deadline_at, in_hand_->tell_at}) : due;
}

void Loop::fire_timers(Instant now) {
    if (in_hand_ && now >= in_hand_->deadline_at) stop(now);
    carrier_.fire_timers(now);
    child_.fire_timers(now);
    if (!in_hand_ || now < in_hand_->tell_at) return;
    in_hand_->tell_at = kNever;
    if (link_) link_->queue(LinkRecordKind::started, run_, StartedBody{.pid = child_.pid()});
}

// ---- what the worker says ----------------------------------------------------------------------

void Loop::read_link() {
    if (!link_->fill()) return abandon();
    while (const std::optional<LinkRecord> record = link_->next()) {
        if (!take(*record, Clock::now())) return abandon();
    }
}

/// False: nonsense.
bool Loop::take(const LinkRecord& record, Instant now) {
    if (record.kind == LinkRecordKind::start) {
        std::string_view message = record.body;
        const std::optional<StartBody> body = take_front<StartBody>(message);
        if (!body || in_hand_ || body->variables_size > message.size()) return false;
        run_ = record.run;
        in_hand_ = InHand{};
        if (body->left_us >= 0) in_hand_->deadline_at = now + std::chrono::microseconds(body->left_us);
        carrier_.begin({*body, message.substr(0, body->variables_size), message.substr(body->variables_size)}, now);
        return true;
    }
    if (record.kind == LinkRecordKind::stop) {
        // A stop of what has ended crossed its `done` on the way.
        if (in_hand_ && record.run == run_) stop(now);
        return true;
    }
    return record.kind == LinkRecordKind::restart && carrier_.restart(now);
}

void Loop::stop(Instant now) {
    in_hand_->deadline_at = kNever;
    carrier_.stop(now);
}

/// Nobody wants a result any more.
void Loop::abandon() {
    link_.reset();
    in_hand_.reset();
    child_.kill(Clock::now());
}

// ---- for the carrier ---------------------------------------------------------------------------

void Loop::reap(Instant now) {
    if (child_.reap(now)) carrier_.finish(now);
}

void Loop::tell_later(Instant now) {
    if (in_hand_) in_hand_->tell_at = now + kTellAfter;
}

void Loop::say_done(DoneBody done, std::string_view note, const StderrDigest& said, std::string_view result) {
    const std::string_view end = said.end();
    done.note_size = static_cast<std::uint32_t>(note.size());
    done.stderr_size = static_cast<std::uint32_t>(end.size());
    done.stderr_bytes = said.said();
    if (link_) link_->queue(LinkRecordKind::done, run_, done, note, end, result);
    in_hand_.reset();
}

void Loop::say_ended(DoneBody ended, std::string_view note) {
    ended.note_size = static_cast<std::uint32_t>(note.size());
    if (link_) link_->queue(LinkRecordKind::ended, run_, ended, note);
}

}  // namespace curfew
