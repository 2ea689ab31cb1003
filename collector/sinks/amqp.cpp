#include "collector/sinks/amqp.h"

#include <fmt/format.h>

#include <algorithm>

#include "common/process/log.h"

namespace curfew {
namespace {

constexpr std::size_t kMostHistory = 16'384;  // bytes: headers have to fit into one frame

using Headers = std::vector<std::pair<std::string, std::string>>;

std::string task_of(const OutcomeRecord& outcome) {
    return fmt::format("{}-{}", outcome.epoch, outcome.seq);
}

/// What is told of an outcome beside its bytes.
Headers headers_of(const OutcomeRecord& outcome) {
    Headers headers{{"task", task_of(outcome)},
                    {"outcome", std::string(name_of(outcome.outcome))},
                    {"attempts", std::to_string(outcome.attempts)},
                    {"latency_us", std::to_string(outcome.latency_us)}};
    if (!outcome.worker.empty()) headers.emplace_back("worker", outcome.worker);
    if (!outcome.pool.empty()) headers.emplace_back("pool", outcome.pool);
    if (outcome.outcome != Outcome::completed) headers.emplace_back("error", outcome.error);
    return headers;
}

/// A dead letter is the message as it came: with the sender's headers, under those of ours.
void add_what_came(Headers& headers, const wire::MessageProperties& said, const OutcomeRecord& outcome) {
    std::string history;
    append_history(history, outcome);
    if (history.size() <= kMostHistory) headers.emplace_back("history", std::move(history));
    for (const auto& header : said.headers) {
        const auto is_same = [&](const auto& ours) { return ours.first == header.first; };
        if (std::ranges::none_of(headers, is_same)) headers.push_back(header);
    }
}

}  // namespace

AmqpSink::AmqpSink(AmqpPublisher::Place place, std::string group, Carries carries, Format format)
    : group_(std::move(group)),
      carries_(carries),
      format_(format),
      wait_(place.access.address.text()),
      publisher_(std::move(place)) {
    log::info("sink_connected sink={} host={}", log::quoted(publisher_.place().access.address.text()),
              publisher_.connection().host);
}

/// The result; of what did not complete why it did not.
std::string AmqpSink::body_of(const OutcomeRecord& outcome) const {
    if (carries_ == Carries::messages) return outcome.message;
    if (carries_ == Carries::results)
        return outcome.outcome == Outcome::completed ? std::string(outcome.result.view()) : outcome.error;
    std::string line;
    format_(line, outcome);
    if (line.ends_with('\n')) line.pop_back();
    return line;
}

/// For the exchange, and for who asked.
Outgoing AmqpSink::part_of(const OutcomeRecord& outcome, const wire::MessageProperties& said) const {
    const AmqpPublisher::Place& place = publisher_.place();
    Outgoing part{.exchange = place.exchange, .key = place.key, .body = body_of(outcome), .task = task_of(outcome)};
    part.properties.message_id = outcome.id.value_or(part.task);
    part.properties.correlation_id = said.correlation_id;
    part.properties.headers = headers_of(outcome);
    if (!group_.empty()) part.properties.headers.emplace_back("group", group_);
    if (carries_ == Carries::json) part.properties.content_type = "application/json";
    if (carries_ == Carries::messages) {
        part.properties.content_type = said.content_type;
        part.properties.reply_to = said.reply_to;
        add_what_came(part.properties.headers, said, outcome);
    }
    return part;
}

std::uint64_t AmqpSink::begin(const Key& key, std::uint64_t sync) {
    // One that is there is on its way for a broker that is no more, or that the judge has met anew
    const auto [at, is_new] = handles_.try_emplace(key, last_handle_ + 1);
    if (!is_new) return pending_.at(at->second).sync = sync, 0;
    answers_ += key.answers ? 1 : 0;
    pending_[++last_handle_] = {.sync = sync, .key = key};
    return last_handle_;
}

void AmqpSink::put(const OutcomeRecord& outcome) {
    const auto said = wire::unpack_properties(outcome.properties).value_or(wire::MessageProperties{});
    const bool alone = publisher_.place().answers_alone();
    if (alone && !asks(said)) {
        ++unasked_;
        done_.emplace_back(outcome.sync, outcome.seq);
        return;
    }
    const std::uint64_t handle = begin({outcome.epoch, outcome.seq}, outcome.sync);
    if (handle == 0) return;
    Outgoing part = part_of(outcome, said);
    if (asks(said)) publish_answer(handle, part, said.reply_to);
    if (!alone) publish(handle, std::move(part));
}

bool AmqpSink::answer(const OutcomeRecord& outcome) {
    const auto said = wire::unpack_properties(outcome.properties).value_or(wire::MessageProperties{});
    if (!asks(said)) return false;
    const std::uint64_t handle = begin({outcome.epoch, outcome.seq, true}, outcome.sync);
    if (handle != 0) publish_answer(handle, part_of(outcome, said), said.reply_to);
    return true;
}

void AmqpSink::publish_answer(std::uint64_t handle, Outgoing part, const std::string& reply_to) {
    part.exchange.clear();
    part.key = reply_to;
    part.is_answer = true;
    publish(handle, std::move(part));
}

void AmqpSink::publish(std::uint64_t handle, Outgoing&& part) {
    part.handle = handle;
    Pending& pending = pending_.at(handle);
    ++pending.parts;
    pending.bytes += part.body.size();
    waiting_bytes_ += part.body.size();
    publisher_.put(std::move(part));
}

/// What the server has.
void AmqpSink::collect() {
    const std::vector<std::uint64_t> done = publisher_.take_done();
    if (done.empty()) return;
    say_what_is_refused();
    for (const std::uint64_t handle : done) {
        const auto at = pending_.find(handle);
        if (at == pending_.end() || --at->second.parts > 0) continue;
        const Pending& pending = at->second;
        (pending.key.answers ? answered_ : done_).emplace_back(pending.sync, pending.key.seq);
        answers_ -= pending.key.answers ? 1 : 0;
        waiting_bytes_ -= pending.bytes;
        bytes_ += pending.bytes;
        handles_.erase(pending.key);
        pending_.erase(at);
    }
}

void AmqpSink::take_answered(Written& answered) {
    collect();
    answered.insert(answered.end(), answered_.begin(), answered_.end());
    answered_.clear();
}

void AmqpSink::flush(Instant now, Written& written) {
    collect();
    written.insert(written.end(), done_.begin(), done_.end());
    done_.clear();
    say_what_it_waits_for(now);
}

void AmqpSink::say_what_it_waits_for(Instant now) {
    if (pending_.empty()) return wait_.over(now);
    const AmqpPublisher::State state = publisher_.look();
    const amqp::KeptConnection::State connection = publisher_.connection();
    if (!state.refused.empty()) {
        wait_.waits(now, "an outcome that the server refuses", state.refused + "; one is tried again each minute");
    } else if (connection.host.empty()) {
        wait_.waits(now, "the server", connection.trouble + "; it is tried again");
    } else if (!state.blocked.empty()) {
        wait_.waits(now, "the server's alarm",
                    "it takes nothing before it has memory and disk again (rabbitmqctl status)");
    } else if (!state.returned.empty()) {
        wait_.waits(now, "a queue", "no queue takes what is published there: bind one to the exchange with this key");
    } else {
        wait_.over(now);
    }
}

/// Each time that it is another.
void AmqpSink::say_what_is_refused() {
    const std::string refused = publisher_.look().refused_answer;
    if (refused == refused_) return;
    refused_ = refused;
    log::warn("answer_refused sink={} what={} next=\"it is left; who asked hears nothing\"",
              log::quoted(publisher_.place().access.address.text()), log::quoted(refused));
}

bool AmqpSink::close(Instant, Instant) {
    if (!publisher_.close()) return false;
    const AmqpPublisher::State state = publisher_.look();
    log::info("sink_ends sink={} bytes={} unheard_answers={} unasked={}",
              log::quoted(publisher_.place().access.address.text()), bytes_, state.unheard, unasked_);
    return true;
}

}  // namespace curfew
