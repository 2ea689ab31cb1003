#include "monitor/view.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "monitor/check.h"
#include "monitor/fields.h"
#include "monitor/racing_text.h"
#include "monitor/readiness.h"
#include "monitor/terminal_text.h"

namespace curfew {
namespace {

using Json = nlohmann::json;

constexpr int kWide = 100;  // columns, of what is no table

std::string word(const Json& object, const char* key) {
    if (!object.is_object() || !object.contains(key) || object[key].is_null()) return "-";
    return object[key].is_string() ? object[key].get<std::string>() : object[key].dump();
}

std::string head(const Json& snapshot) {
    return fmt::format("{} {}  pid {}  up {:.0f} s  memory {} KiB  descriptors {}  threads {}\n",
                       word(snapshot, "role"), word(snapshot, "name"), count(snapshot, "pid"),
                       real(snapshot, "uptime_s").value_or(0), count(snapshot, "memory_kib"),
                       count(snapshot, "descriptors"), count(snapshot, "threads"));
}

std::string connections(const Json& snapshot) {
    std::string out;
    for (const auto& [kind, number] : field(snapshot, "connections").items()) {
        if (number != 0) out += fmt::format("{} {} {}", out.empty() ? "  connections" : ",", number.dump(), kind);
    }
    return out.empty() ? out : out + "\n";
}

std::string duration(double us) {
    if (us < 0) return "-" + duration(-us);
    if (us < 1000) return fmt::format("{:.0f} us", us);
    if (us < 1e6) return fmt::format("{:.1f} ms", us / 1e3);
    return fmt::format("{:.1f} s", us / 1e6);
}

std::string percentiles(const Json& histogram) {
    if (count(histogram, "count") == 0) return "none yet";
    return fmt::format("p50 {}, p99 {} ({} counted)", three_digits(real(histogram, "p50_us").value_or(0)),
                       three_digits(real(histogram, "p99_us").value_or(0)), count(histogram, "count"));
}

std::string workers_text(const Json& workers) {
    if (!workers.is_array() || workers.empty()) return "  no workers\n";
    std::string out =
        "  worker           pool         state      in flight  credit       sent        won       late  cancelled  "
        "failed  expired  lost  heard\n";
    for (const Json& w : workers) {
        out += fmt::format(
            "  {:<16} {:<12} {:<10} {:>9} {:>7} {:>10} {:>10} {:>10} {:>10} {:>7} {:>8} {:>5}  {:.1f} s ago\n",
            word(w, "name"), word(w, "pool"), word(w, "state"), count(w, "in_flight"), count(w, "credit"),
            count(w, "sent"), count(w, "won"), count(w, "late"), count(w, "cancelled"), count(w, "failed"),
            count(w, "expired"), count(w, "lost"), real(w, "last_heard_s").value_or(0));
    }
    return out;
}

/// Of a source that is a queue. How deep it is, is old where it is not connected.
std::string queue_text(const Json& queue) {
    if (queue.is_null()) return "";
    const std::string lost = words_of_loss(queue);
    const auto oldest = real(queue, "oldest_unacked_s");
    return fmt::format("  queue     {}, prefetch {}, fetched {}, unacked {}{}, redelivered {}, connections lost {}\n",
                       lost.empty() ? fmt::format("{} at {}: depth {}", clean(word(queue, "queue"), true),
                                                  clean(word(queue, "connected"), true), count(queue, "depth"))
                                    : lost,
                       count(queue, "prefetch"), count(queue, "fetched"), count(queue, "unacked"),
                       oldest ? fmt::format(" (the oldest {})", duration(*oldest * 1e6)) : "",
                       count(queue, "redelivered"), count(queue, "connections_lost"));
}

std::string broker_text(const Json& s) {
    const Json& t = field(s, "tasks");
    const Json& a = field(s, "attempts");
    std::string out = fmt::format(
        "  tasks     {} = {} completed + {} failed + {} expired + {} cancelled + {} in flight\n", count(t, "accepted"),
        count(t, "completed"), count(t, "failed"), count(t, "expired"), count(t, "cancelled"), count(t, "in_flight"));
    out += fmt::format(
        "  attempts  {} = {} won + {} late + {} cancelled + {} failed + {} expired + {} lost + {} in flight\n",
        count(a, "started"), count(a, "won"), count(a, "late"), count(a, "cancelled"), count(a, "failed"),
        count(a, "expired"), count(a, "lost"), count(a, "in_flight"));
    out += fmt::format("  window    {} of {} in use   fanout {}   books {}{}{}\n", count(t, "in_flight"),
                       count(s, "window"), count(s, "fanout"), is_true(s, "balanced") ? "balanced" : "NOT BALANCED",
                       is_true(s, "paused") ? "   PAUSED" : "", is_true(s, "draining") ? "   draining" : "");
    for (const std::string& line : racing_text(s, kWide)) out += "  " + line + "\n";
    out += fmt::format("  attempt time  {}\n  cancel time   {}\n", percentiles(field(s, "attempt_time")),
                       percentiles(field(s, "cancel_time")));
    if (const double settled = real(s, "settled_for_s").value_or(0); settled >= 1 && count(a, "in_flight") > 0)
        out += fmt::format("  {}\n", words_of_waiting(count(a, "in_flight"), settled));
    if (const std::string what = word(field(s, "source"), "waits_for"); what != "-" && !what.empty())
        out += fmt::format("  waits for {}\n", what);
    out += queue_text(queue_of(s));
    const Json& c = field(s, "collector");
    out +=
        fmt::format("  collector {}   workers {} died, {} silent, {} left   frames {} refused, {} malformed\n",
                    is_true(c, "synced") ? "synced" : "MISSING", count(s, "workers_died"), count(s, "workers_silent"),
                    count(s, "workers_left"), count(s, "refused_frames"), count(s, "malformed_frames"));
    return out + workers_text(field(s, "workers"));
}

/// Whether what a worker asks is left alone for now: `http` or `coprocess` of its stats.
std::string breaker_text(const Json& asked) {
    if (const auto held = real(asked, "held_for_s")) {
        const std::string why = word(asked, "last_refusal");
        return fmt::format("HELD for {:.1f} s, it refuses{}", *held, why == "-" ? "" : ": " + clean(why, true));
    }
    return is_true(asked, "probing") ? "probing, one at a time" : "open";
}

std::string asked_text(const Json& s) {
    std::string out;
    if (const Json& http = field(s, "http"); http.is_object()) {
        const Json& answers = field(http, "answers");
        out += fmt::format("  backend   {}   {}   {} under way   answers {} 2xx  {} 4xx  {} 5xx  {} none\n",
                           word(http, "backend"), breaker_text(http), count(http, "under_way"), count(answers, "2xx"),
                           count(answers, "4xx"), count(answers, "5xx"), count(answers, "none"));
    }
    if (const Json& programs = field(s, "coprocess"); programs.is_object()) {
        out += fmt::format("  programs  {}   {} answers   {} ended\n", breaker_text(programs),
                           count(programs, "answers"), count(programs, "ended"));
    }
    return out;
}

std::string worker_text(const Json& s) {
    const Json& held = field(s, "held");
    const Json& slots = field(s, "slots");
    const Json& ends = field(s, "ends");
    std::string out =
        fmt::format("  {}   pool {}   slots {} busy of {}, {} out of service   credit {}\n",
                    count(s, "session") == 0 ? "NO SESSION" : "session " + word(s, "session"), word(s, "pool"),
                    count(slots, "busy"), count(slots, "all"), count(slots, "out_of_service"), count(s, "credit"));
    out += fmt::format("  held      {} queued  {} running  {} cancelling  {} reported\n", count(held, "queued"),
                       count(held, "running"), count(held, "cancelling"), count(held, "reported"));
    out +=
        fmt::format("  reports   {} ok  {} late  {} failed  {} rejected  {} cancelled  {} expired   of {} received\n",
                    count(ends, "ok"), count(ends, "late"), count(ends, "failed"), count(ends, "rejected"),
                    count(ends, "cancelled"), count(ends, "expired"), count(s, "received"));
    return out + asked_text(s);
}

std::string collector_text(const Json& s) {
    const Json& settled = field(s, "settled");
    const Json& sink = field(s, "sink");
    std::string out = fmt::format(
        "  settled   {} completed  {} failed  {} expired  {} cancelled   {} decided and not written\n"
        "  reports   {}, {} of them duplicates   frames {} refused, {} malformed   broker {}\n",
        count(settled, "completed"), count(settled, "failed"), count(settled, "expired"), count(settled, "cancelled"),
        count(s, "decided"), count(s, "reports"), count(s, "duplicates"), count(s, "refused_frames"),
        count(s, "malformed_frames"), is_true(field(s, "broker"), "synced") ? "synced" : "MISSING");
    if (!field(sink, "waits_for").is_null()) {
        out += fmt::format("  sink      waits for {} for {}, outcomes {}\n", clean(word(sink, "waits_for"), true),
                           duration(real(sink, "waited_s").value_or(0) * 1e6), count(sink, "waiting"));
    }
    return out;
}

}  // namespace

std::string stats_text(const Json& snapshot) {
    const std::string role = word(snapshot, "role");
    std::string out = head(snapshot) + connections(snapshot);
    if (role == "broker") out += broker_text(snapshot);
    if (role == "worker") out += worker_text(snapshot);
    if (role == "collector") out += collector_text(snapshot);
    return out;
}

std::string watch_line(const Json& s, const std::string& time) {
    const Json& t = field(s, "tasks");
    const Json& a = field(s, "attempts");
    return fmt::format(
        "{}  in flight: {} tasks, {} attempts   won {}  late {}  cancelled {}  failed {}  expired {}  lost {}   memory "
        "{} KiB\n",
        time, count(t, "in_flight"), count(a, "in_flight"), count(a, "won"), count(a, "late"), count(a, "cancelled"),
        count(a, "failed"), count(a, "expired"), count(a, "lost"), count(s, "memory_kib"));
}

std::string dump_text(const Json& snapshot) {
    const Json& attempts = field(snapshot, "attempts");
    std::string out = fmt::format("{} {}: {} attempts in flight\n", word(snapshot, "role"), word(snapshot, "name"),
                                  count(snapshot, "in_flight"));
    for (const Json& slot : field(snapshot, "out_of_service")) {
        out +=
            fmt::format("  slot {} is out of service: its work (pid {}) was told to stop {} ago\n", count(slot, "slot"),
                        word(slot, "pid"), duration(real(slot, "stopping_s").value_or(0) * 1e6));
    }
    if (!attempts.is_array() || attempts.empty()) return out;
    out += "       task  attempt  worker            state            age      left      pid\n";
    for (const Json& a : attempts) {
        const std::string left =
            a.contains("left_s") && a["left_s"].is_number() ? duration(real(a, "left_s").value_or(0) * 1e6) : "-";
        out += fmt::format("  {:>9}  {:>7}  {:<16}  {:<10} {:>9} {:>9}  {:>7}\n", count(a, "seq"), count(a, "attempt"),
                           word(a, "worker"), word(a, "state"), duration(real(a, "age_s").value_or(0) * 1e6), left,
                           word(a, "pid"));
    }
    if (attempts.size() < count(snapshot, "in_flight")) {
        out += fmt::format("  ... and {} more (--limit)\n", count(snapshot, "in_flight") - attempts.size());
    }
    return out;
}

}  // namespace curfew
