#include "monitor/view.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

namespace curfew {
namespace {

using Json = nlohmann::json;

std::uint64_t number(const Json& object, const char* key) {
    return object.is_object() && object.contains(key) && object[key].is_number_unsigned()
               ? object[key].get<std::uint64_t>()
               : 0;
}

double real(const Json& object, const char* key) {
    return object.is_object() && object.contains(key) && object[key].is_number() ? object[key].get<double>() : 0;
}

std::string word(const Json& object, const char* key) {
    if (!object.is_object() || !object.contains(key) || object[key].is_null()) return "-";
    return object[key].is_string() ? object[key].get<std::string>() : object[key].dump();
}

const Json& member(const Json& object, const char* key) {
    static const Json kNothing = Json::object();
    return object.is_object() && object.contains(key) ? object[key] : kNothing;
}

std::string head(const Json& snapshot) {
    return fmt::format("{} {}  pid {}  up {:.0f} s  memory {} KiB  descriptors {}  threads {}\n",
                       word(snapshot, "role"), word(snapshot, "name"), number(snapshot, "pid"),
                       real(snapshot, "uptime_s"), number(snapshot, "memory_kib"), number(snapshot, "descriptors"),
                       number(snapshot, "threads"));
}

std::string duration(double us) {
    if (us < 0) return "-" + duration(-us);
    if (us < 1000) return fmt::format("{:.0f} us", us);
    if (us < 1e6) return fmt::format("{:.1f} ms", us / 1e3);
    return fmt::format("{:.1f} s", us / 1e6);
}

std::string percentiles(const Json& histogram) {
    return fmt::format("p50 {}  p99 {}  ({} counted)", duration(real(histogram, "p50_us")),
                       duration(real(histogram, "p99_us")), number(histogram, "count"));
}

std::string broker_text(const Json& s) {
    const Json& t = member(s, "tasks");
    const Json& a = member(s, "attempts");
    std::string out =
        fmt::format("  tasks     {} = {} completed + {} failed + {} expired + {} cancelled + {} in flight\n",
                    number(t, "accepted"), number(t, "completed"), number(t, "failed"), number(t, "expired"),
                    number(t, "cancelled"), number(t, "in_flight"));
    out += fmt::format(
        "  attempts  {} = {} won + {} late + {} cancelled + {} failed + {} expired + {} lost + {} in flight\n",
        number(a, "started"), number(a, "won"), number(a, "late"), number(a, "cancelled"), number(a, "failed"),
        number(a, "expired"), number(a, "lost"), number(a, "in_flight"));
    out +=
        fmt::format("  window    {} of {} in use   fanout {}   books {}\n", number(t, "in_flight"), number(s, "window"),
                    number(s, "fanout"), s.value("balanced", false) ? "balanced" : "NOT BALANCED");
    out += fmt::format("  attempt time  {}\n  cancel time   {}\n", percentiles(member(s, "attempt_time")),
                       percentiles(member(s, "cancel_time")));
    const Json& c = member(s, "collector");
    out += fmt::format(
        "  collector {}   hedges {} sent, {} won, {} withheld   workers {} died, {} silent, {} left   frames {} "
        "refused, {} "
        "malformed\n",
        c.value("synced", false) ? "synced" : "MISSING", number(member(s, "hedges"), "sent"),
        number(member(s, "hedges"), "won"), number(member(s, "hedges"), "withheld"), number(s, "workers_died"),
        number(s, "workers_silent"), number(s, "workers_left"), number(s, "refused_frames"),
        number(s, "malformed_frames"));
    const Json& workers = member(s, "workers");
    if (!workers.is_array() || workers.empty()) return out + "  no workers\n";
    out +=
        "  worker           pool         state      in flight  credit       sent        won       late  cancelled  "
        "failed  expired  lost  heard\n";
    for (const Json& w : workers) {
        out += fmt::format(
            "  {:<16} {:<12} {:<10} {:>9} {:>7} {:>10} {:>10} {:>10} {:>10} {:>7} {:>8} {:>5}  {:.1f} s ago\n",
            word(w, "name"), word(w, "pool"), word(w, "state"), number(w, "in_flight"), number(w, "credit"),
            number(w, "sent"), number(w, "won"), number(w, "late"), number(w, "cancelled"), number(w, "failed"),
            number(w, "expired"), number(w, "lost"), real(w, "last_heard_s"));
    }
    return out;
}

std::string worker_text(const Json& s) {
    const Json& held = member(s, "held");
    const Json& slots = member(s, "slots");
    const Json& ends = member(s, "ends");
    std::string out =
        fmt::format("  {}   pool {}   slots {} busy of {}, {} out of service   credit {}\n",
                    number(s, "session") == 0 ? "NO SESSION" : "session " + word(s, "session"), word(s, "pool"),
                    number(slots, "busy"), number(slots, "all"), number(slots, "out_of_service"), number(s, "credit"));
    out += fmt::format("  held      {} queued  {} running  {} cancelling  {} reported\n", number(held, "queued"),
                       number(held, "running"), number(held, "cancelling"), number(held, "reported"));
    out +=
        fmt::format("  reports   {} ok  {} late  {} failed  {} rejected  {} cancelled  {} expired   of {} received\n",
                    number(ends, "ok"), number(ends, "late"), number(ends, "failed"), number(ends, "rejected"),
                    number(ends, "cancelled"), number(ends, "expired"), number(s, "received"));
    return out;
}

std::string collector_text(const Json& s) {
    const Json& settled = member(s, "settled");
    return fmt::format(
        "  settled   {} completed  {} failed  {} expired  {} cancelled   {} decided and not written\n"
        "  reports   {}, {} of them duplicates   frames {} refused, {} malformed   broker {}\n",
        number(settled, "completed"), number(settled, "failed"), number(settled, "expired"),
        number(settled, "cancelled"), number(s, "decided"), number(s, "reports"), number(s, "duplicates"),
        number(s, "refused_frames"), number(s, "malformed_frames"),
        member(s, "broker").value("synced", false) ? "synced" : "MISSING");
}

}  // namespace

std::string stats_text(const Json& snapshot) {
    const std::string role = word(snapshot, "role");
    std::string out = head(snapshot);
    if (role == "broker") out += broker_text(snapshot);
    if (role == "worker") out += worker_text(snapshot);
    if (role == "collector") out += collector_text(snapshot);
    return out;
}

std::string watch_line(const Json& s, const std::string& time) {
    const Json& t = member(s, "tasks");
    const Json& a = member(s, "attempts");
    return fmt::format(
        "{}  in flight: {} tasks, {} attempts   won {}  late {}  cancelled {}  failed {}  expired {}  lost {}   memory "
        "{} KiB\n",
        time, number(t, "in_flight"), number(a, "in_flight"), number(a, "won"), number(a, "late"),
        number(a, "cancelled"), number(a, "failed"), number(a, "expired"), number(a, "lost"), number(s, "memory_kib"));
}

std::string dump_text(const Json& snapshot) {
    const Json& attempts = member(snapshot, "attempts");
    std::string out = fmt::format("{} {}: {} attempts in flight\n", word(snapshot, "role"), word(snapshot, "name"),
                                  number(snapshot, "in_flight"));
    for (const Json& slot : member(snapshot, "out_of_service")) {
        out += fmt::format("  slot {} is out of service: its work (pid {}) was told to stop {} ago\n",
                           number(slot, "slot"), word(slot, "pid"), duration(real(slot, "stopping_s") * 1e6));
    }
    if (!attempts.is_array() || attempts.empty()) return out;
    out += "       task  attempt  worker            state            age      left      pid\n";
    for (const Json& a : attempts) {
        const std::string left =
            a.contains("left_s") && a["left_s"].is_number() ? duration(real(a, "left_s") * 1e6) : "-";
        out +=
            fmt::format("  {:>9}  {:>7}  {:<16}  {:<10} {:>9} {:>9}  {:>7}\n", number(a, "seq"), number(a, "attempt"),
                        word(a, "worker"), word(a, "state"), duration(real(a, "age_s") * 1e6), left, word(a, "pid"));
    }
    if (attempts.size() < number(snapshot, "in_flight")) {
        out += fmt::format("  ... and {} more (--limit)\n", number(snapshot, "in_flight") - attempts.size());
    }
    return out;
}

std::string group_dump_text(const Json& dump, bool each) {
    std::string out = fmt::format("{} attempts in flight\n", word(dump, "in_flight"));
    const Json& groups = member(dump, "groups");
    if (groups.is_array() && !groups.empty()) out += "    count  state       pool              oldest\n";
    for (const Json& group : groups) {
        out += fmt::format("  {:>7}  {:<10}  {:<16} {:>7}\n", number(group, "count"), word(group, "state"),
                           word(group, "pool"), duration(real(group, "oldest_s") * 1e6));
    }
    const Json& attempts = member(dump, "attempts");
    if (!each || !attempts.is_array() || attempts.empty()) return out;
    out +=
        "\n  task                      attempt  worker            state            age  in state      left      pid\n";
    const auto time = [](const Json& row, const char* key) {
        return row.contains(key) && row[key].is_number() ? duration(real(row, key) * 1e6) : std::string("-");
    };
    for (const Json& a : attempts) {
        out += fmt::format("  {:<24}  {:>7}  {:<16}  {:<10} {:>9} {:>9} {:>9}  {:>7}\n", word(a, "id"),
                           number(a, "attempt"), word(a, "worker"), word(a, "state"), time(a, "age_s"),
                           time(a, "in_state_s"), time(a, "left_s"), word(a, "pid"));
    }
    return out;
}

}  // namespace curfew
