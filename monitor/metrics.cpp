#include "monitor/metrics.h"

#include <fmt/format.h>

#include <cstdint>

#include "monitor/laws.h"
#include "monitor/readiness.h"

namespace curfew {
namespace {

using nlohmann::json;
using Labels = std::vector<std::pair<const char*, std::string>>;

std::string escaped(const std::string& value) {
    std::string out;
    for (const char c : value) {
        if (c == '\\' || c == '"') out += '\\';
        if (c == '\n')
            out += "\\n";
        else
            out += c;
    }
    return out;
}

/// Collects the samples of one metric under its head: all of one name have to stand together. Each
/// has the group's label.
class Text {
public:
    explicit Text(const std::string& group) : group_(fmt::format(R"({{group="{}")", escaped(group))) {}
    void head(const char* name, const char* type, const char* help) {
        name_ = name;
        out_ += fmt::format("# HELP {} {}\n# TYPE {} {}\n", name, help, name, type);
    }
    void sample(const json& value, const Labels& labels = {}, const char* suffix = "") {
        if (!value.is_number() && !value.is_boolean()) return;  // a process that does not say it
        const std::string number = value.is_boolean() ? (value.get<bool>() ? "1" : "0") : value.dump();
        out_ += fmt::format("{}{}{} {}\n", name_, suffix, in_braces(labels), number);
    }
    void one(const char* name, const char* type, const char* help, const json& value) {
        head(name, type, help);
        sample(value);
    }
    [[nodiscard]] std::string take() { return std::move(out_); }

private:
    [[nodiscard]] std::string in_braces(const Labels& labels) const {
        std::string out = group_;
        for (const auto& [name, value] : labels) out += fmt::format(R"(,{}="{}")", name, escaped(value));
        return out + "}";
    }

    std::string group_, name_, out_;
};

/// One of several under one head, told apart by their labels.
void buckets(Text& text, const json& said, const Labels& labels = {}) {
    const auto with = [&](const char* name, std::string value) {
        Labels all = labels;
        all.emplace_back(name, std::move(value));
        return all;
    };
    const json& bounds = field(said, "le_us");
    const json& counts = field(said, "counts");
    if (!bounds.is_array() || !counts.is_array() || counts.size() != bounds.size() + 1) return;
    std::uint64_t below = 0;
    for (std::size_t i = 0; i < bounds.size(); ++i) {
        below += counts[i].get<std::uint64_t>();
        text.sample(below, with("le", fmt::format("{:g}", bounds[i].get<double>() / 1e6)), "_bucket");
    }
    below += counts.back().get<std::uint64_t>();
    text.sample(below, with("le", "+Inf"), "_bucket");
    text.sample(field(said, "sum_us").get<double>() / 1e6, labels, "_sum");
    text.sample(below, labels, "_count");
}

void histogram(Text& text, const char* name, const char* help, const json& said) {
    text.head(name, "histogram", help);
    buckets(text, said);
}

/// What racing gave. Series under one name never overlap, so that their sum means something.
void racing(Text& text, const json& broker) {
    text.head("curfew_task_duration_seconds", "histogram",
              "From the acceptance of a task to its decision, by whether it completed.");
    buckets(text, field(broker, "task_time"), {{"completed", "true"}});
    buckets(text, field(broker, "task_time_not_completed"), {{"completed", "false"}});
    const json& hedges = field(broker, "hedges");
    text.one("curfew_hedges_sent_total", "counter", "Hedges that were sent.", field(hedges, "sent"));
    text.head("curfew_hedges_total", "counter", "Hedges that have ended, by end.");
    for (const char* end : kEndWords) text.sample(field(hedges, end), {{"end", end}});
    text.one("curfew_hedges_withheld_total", "counter",
             "Hedges that were due, and not wanted any more before there was budget.", field(hedges, "withheld"));
    const json& pools = field(broker, "pools");
    if (!pools.is_array()) return;
    text.head("curfew_pool_attempts_total", "counter",
              "Attempts that have ended, by the pool of their worker and end.");
    for (const json& pool : pools) {
        for (const char* end : kEndWords)
            text.sample(field(pool, end), {{"pool", pool.value("name", "")}, {"end", end}});
    }
    text.head("curfew_pool_attempt_duration_seconds", "histogram",
              "From the start of an attempt to its decision or end, by the pool of its worker and whether it won; "
              "losers until they were called home.");
    for (const json& pool : pools) {
        buckets(text, field(pool, "won_time"), {{"pool", pool.value("name", "")}, {"won", "true"}});
        buckets(text, field(pool, "other_time"), {{"pool", pool.value("name", "")}, {"won", "false"}});
    }
}

void books(Text& text, const json& broker) {
    const json& tasks = field(broker, "tasks");
    const json& attempts = field(broker, "attempts");
    text.one("curfew_tasks_accepted_total", "counter", "Tasks that were accepted.", field(tasks, "accepted"));
    text.head("curfew_tasks_total", "counter", "Tasks that are settled, by outcome.");
    for (const char* outcome : kOutcomeWords) text.sample(field(tasks, outcome), {{"outcome", outcome}});
    text.one("curfew_tasks_in_flight", "gauge", "Tasks accepted and not settled.", field(tasks, "in_flight"));
    text.one("curfew_tasks_residue", "gauge", "Tasks that the law of the tasks leaves over: 0, always.",
             tasks_residue(broker));
    text.one("curfew_attempts_started_total", "counter", "Attempts that were started.", field(attempts, "started"));
    text.head("curfew_attempts_total", "counter", "Attempts that have ended, by end.");
    for (const char* end : kEndWords) text.sample(field(attempts, end), {{"end", end}});
    text.one("curfew_attempts_in_flight", "gauge", "Attempts without an end.", field(attempts, "in_flight"));
    text.one("curfew_attempts_residue", "gauge", "Attempts that the law of the attempts leaves over: 0, always.",
             attempts_residue(broker));
    text.one("curfew_window", "gauge", "Most tasks in flight.", field(broker, "window"));
    const auto age = [&](const char* name) { return field(broker, name).is_number() ? field(broker, name) : json(0); };
    text.one("curfew_oldest_task_seconds", "gauge", "Age of the oldest task in flight; 0: none.", age("oldest_task_s"));
    text.one("curfew_oldest_attempt_seconds", "gauge", "Age of the oldest attempt in flight; 0: none.",
             age("oldest_attempt_s"));
    histogram(text, "curfew_attempt_duration_seconds",
              "From the start of an attempt to its decision or end; losers until they were called home.",
              field(broker, "attempt_time"));
    histogram(text, "curfew_cancel_duration_seconds", "From calling an attempt home to its end.",
              field(broker, "cancel_time"));
    text.one("curfew_collector_synced", "gauge", "The broker has a collector.",
             field(field(broker, "collector"), "synced"));
    text.head("curfew_workers_ended_total", "counter", "Workers that died, fell silent or left.");
    for (const char* how : {"died", "silent", "left"})
        text.sample(field(broker, fmt::format("workers_{}", how).c_str()), {{"how", how}});
    text.one("curfew_source_bytes_total", "counter", "Bytes read from the source.",
             field(field(broker, "source"), "bytes_read"));
    text.one("curfew_source_refused_total", "counter", "Messages over --max-message.",
             field(field(broker, "source"), "refused"));
}

/// A source that is a queue. How deep it is, is not known where it is not connected.
void queue(Text& text, const json& said) {
    if (said.is_null()) return;
    const Labels labels = {{"queue", said.value("queue", "")}};
    const bool connected = !real(said, "lost_for_s");
    const auto one = [&](const char* name, const char* type, const char* help, const json& value) {
        text.head(name, type, help);
        text.sample(value, labels);
    };
    one("curfew_source_connected", "gauge", "The queue's server is connected.", connected);
    one("curfew_source_depth", "gauge", "Messages in the queue that no group has; some seconds old.",
        connected ? field(said, "depth") : json());
    one("curfew_source_prefetch", "gauge", "Most messages that this group asks the queue for.",
        field(said, "prefetch"));
    one("curfew_source_unacked", "gauge", "Messages of the queue that this group has begun.", field(said, "unacked"));
    one("curfew_source_oldest_unacked_seconds", "gauge", "Since the oldest of them came; 0: none.",
        real(said, "oldest_unacked_s").value_or(0));
    one("curfew_source_redelivered_total", "counter", "Messages that came again.", field(said, "redelivered"));
    one("curfew_source_connections_lost_total", "counter", "Connections to the queue's server that were lost.",
        field(said, "connections_lost"));
}

void sink(Text& text, const json& said) {
    if (!said.is_object()) return;
    text.one("curfew_sink_waiting", "gauge", "Outcomes that the sink does not have yet.", field(said, "waiting"));
    text.one("curfew_sink_bytes_total", "counter", "Bytes that the sink has.", field(said, "bytes"));
    text.one("curfew_sink_blocked", "gauge", "The sink waits: for its server, a reader, space or a lock.",
             !field(said, "waits_for").is_null());
}

void workers(Text& text, const json& broker, const std::vector<Said>& stats) {
    text.head("curfew_worker_slots", "gauge", "Slots of a worker, by state.");
    for (const auto& [name, said] : stats) {
        const json& slots = field(said, "slots");
        if (!slots.is_object()) continue;
        const std::string pool = said.value("pool", "");
        const auto all = static_cast<std::int64_t>(count(slots, "all"));
        const auto busy = static_cast<std::int64_t>(count(slots, "busy"));
        const auto out = static_cast<std::int64_t>(count(slots, "out_of_service"));
        // One that is out of service is busy as well: its work has not stopped.
        text.sample(busy - out, {{"worker", name}, {"pool", pool}, {"state", "busy"}});
        text.sample(all - busy, {{"worker", name}, {"pool", pool}, {"state", "free"}});
        text.sample(out, {{"worker", name}, {"pool", pool}, {"state", "out_of_service"}});
    }
    // A worker that is started again has two sessions for a while: the newest counts.
    std::vector<const json*> newest;
    if (const json& all = field(broker, "workers"); all.is_array()) {
        for (const json& worker : all) {
            std::erase_if(newest, [&](const json* other) { return field(*other, "name") == field(worker, "name"); });
            newest.push_back(&worker);
        }
    }
    const auto each = [&](const char* name, const char* type, const char* help, const char* name_of_field) {
        text.head(name, type, help);
        for (const json* worker : newest)
            text.sample(field(*worker, name_of_field),
                        {{"worker", worker->value("name", "")}, {"pool", worker->value("pool", "")}});
    };
    each("curfew_worker_credit", "gauge", "Most attempts in flight at a worker.", "credit");
    each("curfew_worker_attempts_in_flight", "gauge", "Attempts in flight at a worker.", "in_flight");
    each("curfew_worker_last_heard_seconds", "gauge", "Since the last heartbeat of a worker.", "last_heard_s");
    text.head("curfew_worker_attempts_total", "counter", "Attempts of a worker's session that have ended, by end.");
    for (const json* worker : newest) {
        for (const char* end : kEndWords) {
            text.sample(field(*worker, end),
                        {{"worker", worker->value("name", "")}, {"pool", worker->value("pool", "")}, {"end", end}});
        }
    }
}

void processes(Text& text, const std::vector<Said>& stats) {
    text.head("curfew_up", "gauge", "The process answers.");
    for (const auto& [name, said] : stats) {
        const std::string role = said.is_object() ? said.value("role", "") : role_of(name);
        text.sample(said.is_object(), {{"process", name}, {"role", role}});
    }
    const auto each = [&](const char* name, const char* type, const char* help, const char* name_of_field,
                          double factor) {
        text.head(name, type, help);
        for (const auto& [process, said] : stats) {
            const json& value = field(said, name_of_field);
            if (!value.is_number()) continue;
            const json scaled = factor == 1 ? value : json(value.get<double>() * factor);
            text.sample(scaled, {{"process", process}, {"role", said.value("role", "")}});
        }
    };
    each("curfew_process_resident_memory_bytes", "gauge", "Resident memory.", "memory_kib", 1024);
    each("curfew_process_open_fds", "gauge", "Open descriptors.", "descriptors", 1);
    each("curfew_process_threads", "gauge", "Threads.", "threads", 1);
    each("curfew_process_cpu_seconds_total", "counter", "Processor time.", "cpu_s", 1);
    each("curfew_process_uptime_seconds", "gauge", "Since its start.", "uptime_s", 1);
}

/// What each process counts of what went wrong on its roads.
void roads(Text& text, const std::vector<Said>& stats) {
    const auto counts = [&](const char* name, const char* type, const char* help, const char* within,
                            const char* name_of_field) {
        text.head(name, type, help);
        for (const auto& [process, said] : stats)
            text.sample(field(within == nullptr ? said : field(said, within), name_of_field), {{"process", process}});
    };
    counts("curfew_frames_refused_total", "counter", "Frames of old sessions or incarnations.", nullptr,
           "refused_frames");
    counts("curfew_frames_malformed_total", "counter", "Frames that could not be read.", nullptr, "malformed_frames");
    counts("curfew_records_unexpected_total", "counter", "Records that a peer in its right mind would not have sent.",
           nullptr, "surprises");
    counts("curfew_reports_asked_again_total", "counter", "Reports that were asked for again, as they had not come.",
           nullptr, "resends_asked");
    counts("curfew_complaints_total", "counter", "Workers that the collector complained of: it cannot read them.",
           nullptr, "complaints");
    counts("curfew_batches_resent_total", "counter", "Batches between broker and collector that were sent again.",
           "collector", "resent");
    counts("curfew_connections_turned_away_total", "counter", "Connections refused for want of descriptors.", nullptr,
           "turned_away");
    counts("curfew_marks_reached_total", "counter", "High-water marks reached.", "outboxes", "marks_reached");
    text.head("curfew_connection_events_total", "counter", "What happened to connections, by kind.");
    for (const auto& [process, said] : stats) {
        for (const auto& [kind, number] : field(said, "connections").items())
            text.sample(number, {{"process", process}, {"kind", kind}});
    }
    counts("curfew_outbox_frames", "gauge", "Frames that wait for their socket.", "outboxes", "parked");
}

}  // namespace

std::string metrics(const std::vector<Said>& stats, const std::string& group) {
    Text text(group);
    const json& broker = broker_of(stats);
    processes(text, stats);
    roads(text, stats);
    if (broker.is_object()) {
        text.head("curfew_build_info", "gauge", "The broker's version.");
        text.sample(1, {{"version", broker.value("version", "")}});
        books(text, broker);
        racing(text, broker);
        queue(text, queue_of(broker));
        workers(text, broker, stats);
    }
    sink(text, sink_of(stats));
    return text.take();
}

}  // namespace curfew
