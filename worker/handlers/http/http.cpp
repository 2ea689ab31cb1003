#include "worker/handlers/http/http.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <sys/resource.h>

#include <algorithm>
#include <utility>

#include "common/look/json_object.h"
#include "common/process/poller.h"
#include "common/words/exit_code.h"

namespace curfew {
namespace {

/// Beside those of requests: sockets of our own, files, lookups.
constexpr rlim_t kOtherDescriptors = 64;

bool is_number(const std::string& host) {
    in_addr four{};
    return host.starts_with('[') || inet_pton(AF_INET, host.c_str(), &four) == 1;
}

Slot slot_of(CURL* easy) {
    void* slot = nullptr;
    curl_easy_getinfo(easy, CURLINFO_PRIVATE, &slot);
    return static_cast<Slot>(reinterpret_cast<std::uintptr_t>(slot));
}

}  // namespace

void check_descriptors(Slot slots) {
    rlimit limit{};
    getrlimit(RLIMIT_NOFILE, &limit);
    if (limit.rlim_max == RLIM_INFINITY || limit.rlim_max >= slots + kOtherDescriptors) return;
    throw Unusable(kExitIo, fmt::format("--slots {}: each may need a connection, and only {} descriptors are allowed"
                                        " (ulimit -Hn): allow {} or more",
                                        slots, limit.rlim_max, slots + kOtherDescriptors));
}

HttpHandler::HttpHandler(HttpPlan plan, Slot slots, std::size_t max_output)
    : plan_(std::move(plan)),
      max_output_(max_output),
      headers_(plan_),
      places_(slots),
      transfers_(static_cast<long>(slots), plan_.flags().http2,
                 [this](CURL* easy, CURLcode code) { on_done(slot_of(easy), code); }),
      backend_(plan_.authority(), slots),
      lookup_(plan_.flags().unix_socket.empty() && !is_number(plan_.host())) {}

HttpHandler::~HttpHandler() {
    for (Place& place : places_) {
        if (place.state == State::under_way || place.state == State::stopping)
            transfers_.abort(place.request->handle());
        place.request.reset();
    }
}

// ---- beginning ---------------------------------------------------------------------------------

void HttpHandler::start(Instant now, Slot slot, const Work& work) {
    now_ = now;
    backend_.begins();
    Place& place = places_[slot];
    if (place.request == nullptr)
        place.request = std::make_unique<HttpRequest>(plan_, transfers_, headers_, slot, max_output_);
    if (auto wrong = place.request->prepare(now, work)) {
        ends_.push_back({.slot = slot, .finish = Finish::rejected, .result = {}, .error = std::move(*wrong)});
        return;
    }
    begin(now, slot);
}

void HttpHandler::begin(Instant now, Slot slot) {
    Place& place = places_[slot];
    if (begun_in_turn_ >= kMostInATurn || !lookup_.lets_begin(now, slot)) {
        place.state = State::waiting;
        place.waits_at = waiting_.insert(waiting_.end(), slot);
        return;
    }
    if (begun_in_turn_++ == 0) transfers_.bury_spoilt();
    place.state = State::under_way;
    ++under_way_;
    transfers_.add(place.request->handle());
    if (transfers_.take_connecting()) lookup_.found(now);
}

/// Without its name none that waits has a chance.
void HttpHandler::name_failed(const std::string& error) {
    for (const Slot slot : std::exchange(waiting_, {})) {
        places_[slot].state = State::free;
        ends_.push_back({.slot = slot, .finish = Finish::failed, .result = {}, .error = error});
    }
}

/// All of them, or one that looks the name up.
void HttpHandler::begin_waiting(Instant now) {
    while (!waiting_.empty() && !lookup_.is_under_way() && begun_in_turn_ < kMostInATurn) {
        const Slot slot = waiting_.front();
        waiting_.pop_front();
        begin(now, slot);
    }
}

// ---- ending ------------------------------------------------------------------------------------

void HttpHandler::stop(Instant, Slot slot) {
    Place& place = places_[slot];
    if (place.state == State::free || place.state == State::stopping) return;
    if (place.state == State::waiting) {
        waiting_.erase(place.waits_at);
        return end(slot);
    }
    place.state = State::stopping;
    to_stop_.push_back(slot);
}

void HttpHandler::end(Slot slot) {
    places_[slot].state = State::free;
    ends_.push_back({.slot = slot, .finish = Finish::stopped, .result = {}, .error = {}});
}

/// One that comes to its end before it is its turn keeps that.
void HttpHandler::stop_some() {
    for (int stopped = 0; stopped < kMostInATurn && !to_stop_.empty(); ++stopped) {
        const Slot slot = to_stop_.back();
        to_stop_.pop_back();
        if (places_[slot].state != State::stopping) continue;
        transfers_.abort(places_[slot].request->handle());
        --under_way_;
        (void)lookup_.ended(slot);
        end(slot);
    }
}

void HttpHandler::on_done(Slot slot, CURLcode code) {
    Place& place = places_[slot];
    place.state = State::free;
    --under_way_;
    HttpEnd end = place.request->end(code);
    const bool no_name = code == CURLE_COULDNT_RESOLVE_HOST || code == CURLE_COULDNT_RESOLVE_PROXY;
    if (lookup_.ended(slot) && no_name) name_failed(end.work.error);
    backend_.ended(now_, place.request->began(), end);
    end.work.slot = slot;
    ends_.push_back(std::move(end.work));
}

// ---- the turn ----------------------------------------------------------------------------------

void HttpHandler::turn(Instant now, std::vector<WorkEnd>& ends) {
    now_ = now;
    begun_in_turn_ = 0;
    stop_some();
    transfers_.turn(now);
    if (transfers_.take_connecting()) lookup_.found(now);
    begin_waiting(now);
    if (transfers_.has_resets()) {
        transfers_.flush_resets([this](const auto& visit) {
            for (Place& place : places_) {
                if (place.state == State::under_way || place.state == State::stopping) visit(place.request->handle());
            }
        });
    }
    for (WorkEnd& end : ends_) {
        backend_.ends(places_[end.slot].request->began());
        ends.push_back(std::move(end));
    }
    ends_.clear();
}

void HttpHandler::wait_for(Poller& poller) const {
    poller.add(transfers_.descriptor());
}

Instant HttpHandler::next_deadline() const {
    if (!ends_.empty() || !to_stop_.empty() || (!waiting_.empty() && !lookup_.is_under_way())) return Instant::min();
    return std::min(transfers_.next_deadline(), backend_.next_deadline(now_));
}

void HttpHandler::add_stats(Instant now, JsonObject& stats) const {
    JsonObject http;
    http.add("backend", backend_.name())
        .add("under_way", under_way_)
        .add("waiting_for_name", waiting_.size())
        .add("connections_opened", transfers_.opened());
    backend_.add_stats(now, http);
    stats.add("http", http);
}

}  // namespace curfew
