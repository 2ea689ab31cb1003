#include "broker/intake.h"

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <utility>

namespace curfew {

Intake::Intake(Dispatcher& dispatcher, std::unique_ptr<Source> source, std::uint64_t max_message, Duration delay)
    : dispatcher_(dispatcher), source_(std::move(source)), max_message_(max_message), delay_(delay) {}

void Intake::wait_for(Poller& poller) {
    if (closes_ || (held_ ? waits_for_end_ : dispatcher_.wants_message())) source_->wait_for(poller);
}

void Intake::take(Instant now) {
    if (const auto tags = dispatcher_.take_settled_tags(); !tags.empty()) source_->settled(now, tags);
    if (source_->takes_back(now)) {
        const auto tags = dispatcher_.abandon_all(now);
        source_->taken_back(tags);
        if (!tags.empty()) log::warn("tasks_abandoned count={} reason=\"--on-source-lost cancel\"", tags.size());
    }
    if (now >= source_->asks_at()) source_->expect(now, room());
    Incoming message;
    while (!delay_.holds(now) && dispatcher_.wants_message()) {
        if (source_->next(message)) {
            if (passes_over()) continue;
            dispatcher_.accept(now, message);
            delay_.started(now);
        } else if (auto refusal = source_->take_refusal()) {
            if (!passes_over()) refuse(now, std::move(*refusal));
        } else {
            break;
        }
    }
    held_ = delay_.holds(now);
    if (held_) look_for_the_end();
    if (source_->ended()) dispatcher_.end_intake();
    if (const std::uint64_t count = refused_log_.grown(now, source_->refused()))
        log::warn("message_refused count={} reason=\"over --max-message\"", count);
    say_who_does_not_write(now);
}

/// Who keeps a distance has use for one message more than what runs, and one in hand.
std::size_t Intake::room() const {
    const std::size_t room = dispatcher_.room();
    return delay_.is_set() ? std::min<std::size_t>(room, dispatcher_.ledger().tasks_in_flight() + 2) : room;
}

/// Nobody waits for a delay behind which there is no message.
void Intake::look_for_the_end() {
    waits_for_end_ = !dispatcher_.intake_ended() && !source_->knows_what_follows();
}

/// The message in hand has settled in an earlier life of the broker. How many have, from the first
/// on, is known when one is wanted: the collector has said by then what it has.
bool Intake::passes_over() {
    if (!skip_) skip_ = dispatcher_.take_first();
    if (*skip_ == 0) return dispatcher_.pass_over();
    --*skip_;
    return true;
}

void Intake::refuse(Instant now, RefusedMessage message) {
    ++refused_;
    const std::string place = message.byte ? fmt::format("line {}, byte offset {}", message.number, *message.byte)
                                           : fmt::format("frame {}", message.number);
    const std::string why = !message.why.empty() ? "refused: " + message.why
                                                 : fmt::format("refused: {}, {} bytes, over --max-message {}", place,
                                                               message.size, max_message_);
    dispatcher_.refuse_message(now, std::move(message), why);
}

/// Once: it may be meant so.
void Intake::say_who_does_not_write(Instant now) {
    const std::string what = !held_ && dispatcher_.wants_message() ? source_->waits_for() : std::string();
    if (what.empty()) {
        unwritten_since_ = kNever;
        return;
    }
    if (unwritten_since_ == kNever) unwritten_since_ = now;
    if (now - unwritten_since_ < std::chrono::seconds(2) || std::exchange(said_unwritten_, true)) return;
    log::warn("waiting for={}", log::quoted(what));
}

void Intake::close() {
    rest_ = source_->rest();
    if (rest_->has_end()) dispatcher_.end_intake();
}

Instant Intake::hang_up(Instant now) {
    const bool was_open = std::exchange(hang_up_at_, source_->hang_up(now)) != kNever;
    // What nobody takes is left
    if (hang_up_at_ == kNever && dispatcher_.paused()) dispatcher_.end_intake();
    if (was_open && hang_up_at_ == kNever && source_->left() > 0 && !dispatcher_.intake_ended())
        log::info("source_closed messages_kept={} note=\"they are finished too\"", source_->left());
    return hang_up_at_;
}

bool Intake::finish(Instant now) {
    closes_ = true;
    if (const auto tags = dispatcher_.take_settled_tags(); !tags.empty()) source_->settled(now, tags);
    return closed_ = closed_ || source_->let_go(now);
}

void Intake::say_what_is_left() const {
    if (rest_->kind == Rest::Kind::none) return;
    if (rest_->kind == Rest::Kind::endless) {
        log::info("source_has_no_end note=\"what its producers have not had accepted is not known here\"");
        return;
    }
    if (rest_->kind == Rest::Kind::queue) {
        log::info("source_has_no_end note=\"what is not acknowledged goes back to the queue\"");
        return;
    }
    const auto known = [](std::optional<std::uint64_t> count) { return count ? std::to_string(*count) : "unknown"; };
    log::warn("input_left messages={} bytes={} go_on_at_{}={} go_on_at_byte={}", known(rest_->messages),
              known(rest_->bytes), rest_->kind == Rest::Kind::lines ? "line" : "message", rest_->message, rest_->byte);
}

std::uint64_t Intake::dropped() const {
    return rest_ && rest_->kind == Rest::Kind::endless ? source_->left() : 0;
}

void Intake::write(BooksPage& books) const {
    books[BooksPage::input_total] = source_->bytes_total();
    books[BooksPage::input_read] = source_->bytes_read();
    books[BooksPage::refused] = refused_;
    books[BooksPage::left] = source_->left();
    const Rest rest = rest_.value_or(source_->position());
    books[BooksPage::rest] = static_cast<std::uint64_t>(rest.kind);
    books[BooksPage::rest_message] = rest.message;
    books[BooksPage::rest_byte] = rest.byte;
    books[BooksPage::rest_messages] = rest.messages.value_or(BooksPage::kUnknown);
    books[BooksPage::rest_bytes] = rest.bytes.value_or(BooksPage::kUnknown);
}

JsonObject Intake::json(Instant now) const {
    JsonObject out;
    out.add("refused", source_->refused())
        .add("bytes_read", source_->bytes_read())
        .add("ended", source_->ended())
        .add("waits_for", source_->waits_for());
    source_->describe(now, out);
    return out;
}

}  // namespace curfew
