// The codec, out: msgpack-cxx behind Writer.
#include "common/wire/wire_writer.h"

#include <algorithm>
#include <cstring>
#include <msgpack.hpp>
#include <tuple>
#include <type_traits>
#include <utility>

#include "common/wire/wire_runs.h"

namespace curfew::wire {
namespace {

constexpr std::size_t kMostReserved = 1 << 20;

bool fits_run(std::uint64_t number, std::uint64_t seq) {
    return number != 0 && number <= kLastInRun && seq != 0 && seq <= kLastInRun;
}

using Packer = msgpack::packer<Frame>;

// ---- fields out --------------------------------------------------------------------------------

void put(Packer& packer, std::uint64_t value) {
    packer.pack_uint64(value);
}
void put(Packer& packer, std::uint32_t value) {
    packer.pack_uint32(value);
}
void put(Packer& packer, std::int64_t value) {
    packer.pack_int64(value);
}
void put(Packer& packer, std::string_view bytes) {
    packer.pack_bin(static_cast<std::uint32_t>(bytes.size()));
    packer.pack_bin_body(bytes.data(), static_cast<std::uint32_t>(bytes.size()));
}
void put(Packer& packer, const WorkDetails& details) {
    packer.pack_array(7);
    packer.pack_uint64(details.began_us);
    packer.pack_uint64(details.run_us);
    packer.pack_uint32(details.exited);
    packer.pack_uint32(details.signal);
    packer.pack_uint64(details.stderr_bytes);
    put(packer, details.errors);
    put(packer, details.message);
}
template <typename Value>
void put(Packer& packer, const std::optional<Value>& value) {
    if (value) {
        put(packer, *value);
    } else {
        packer.pack_nil();
    }
}
template <typename E>
requires std::is_enum_v<E>
void put(Packer& packer, E value) {
    packer.pack_uint8(static_cast<std::uint8_t>(value));
}
void put(Packer& packer, const Intervals& list) {
    packer.pack_array(static_cast<std::uint32_t>(list.size() * 2));
    for (const Interval& range : list) {
        packer.pack_uint64(range.first);
        packer.pack_uint64(range.last);
    }
}
void put(Packer& packer, const Winner& winner) {
    packer.pack_array(3);
    packer.pack_uint64(winner.seq);
    packer.pack_uint64(winner.attempt.session);
    packer.pack_uint64(winner.attempt.number);
}
void put(Packer& packer, const KnownEnd& known) {
    packer.pack_array(4);
    packer.pack_uint64(known.seq);
    put(packer, known.outcome);
    packer.pack_uint64(known.winner.session);
    packer.pack_uint64(known.winner.number);
}
void put(Packer& packer, const Addressee& addressee) {
    packer.pack_array(3);
    packer.pack_uint64(addressee.session);
    packer.pack_uint64(addressee.number);
    packer.pack_uint32(addressee.ordinal);
}
void put(Packer& packer, const Admission& admission) {
    packer.pack_array(4);
    packer.pack_uint64(admission.session);
    put(packer, admission.name);
    put(packer, admission.pool);
    put(packer, admission.ended);
}
void put(Packer& packer, const PastAttempt& past) {
    packer.pack_array(4);
    packer.pack_uint32(past.ordinal);
    put(packer, past.worker);
    put(packer, past.end);
    put(packer, past.error);
}
template <typename T>
void put(Packer& packer, const std::vector<T>& list) {
    packer.pack_array(static_cast<std::uint32_t>(list.size()));
    for (const T& item : list) put(packer, item);
}

template <typename... Values>
void put_record(Packer& packer, std::uint8_t type, const std::tuple<Values...>& fields) {
    packer.pack_array(1 + static_cast<std::uint32_t>(sizeof...(Values)));
    packer.pack_uint8(type);
    std::apply([&](const auto&... field) { (put(packer, field), ...); }, fields);
}

}  // namespace

void Writer::clear() {
    buffer_.shrink(0);
    run_ = {};
}

/// The items follow. Their length has a fixed width: it is not known before the record is closed.
void Writer::open_items(std::uint8_t type) {
    constexpr char kBinOf32Bits = static_cast<char>(0xc6);
    buffer_.write(&kBinOf32Bits, 1);
    buffer_.write("\0\0\0\0", 4);
    run_ = {.type = type, .items_at = buffer_.size()};
}

void Writer::add_item(std::uint64_t numbers, std::uint64_t seqs, std::string_view payload) {
    Packer packer(buffer_);
    if (numbers != 0 || seqs != 0) {
        packer.pack_uint64(numbers);
        packer.pack_uint64(seqs);
    }
    put(packer, payload);
}

void Writer::begin(const SharedTasks& shared) {
    close_run();
    leave_room_for_envelope();
    Packer packer(buffer_);
    packer.pack_array(7);
    packer.pack_uint8(SharedTasks::kType);
    put(packer, shared.to);
    packer.pack_uint64(shared.seq);
    packer.pack_uint32(shared.attempts);
    packer.pack_int64(shared.left_us);
    packer.pack_uint64(shared.age_us);
    open_items(SharedTasks::kType);
}

/// Appends to the run that is open, if it is one of these, else opens one.
template <std::size_t N>
void Writer::add_to_run(std::uint8_t type, std::uint64_t number, std::uint64_t seq, const std::uint64_t (&shared)[N],
                        std::string_view payload) {
    const bool goes_on = run_.type == type && number > run_.number && seq > run_.seq &&
                         std::equal(std::begin(shared), std::end(shared), run_.shared);
    if (!goes_on) {
        close_run();
        leave_room_for_envelope();
        Packer packer(buffer_);
        packer.pack_array(static_cast<std::uint32_t>(3 + N + 1));
        packer.pack_uint8(type);
        packer.pack_uint64(number);
        packer.pack_uint64(seq);
        for (const std::uint64_t value : shared) packer.pack_uint64(value);
        open_items(type);
        std::copy(std::begin(shared), std::end(shared), run_.shared);
        run_.number = number - 1;
        run_.seq = seq - 1;
    }
    add_item(number - run_.number - 1, seq - run_.seq - 1, payload);
    run_.number = number;
    run_.seq = seq;
}

void Writer::close_run() {
    if (run_.type == 0) return;
    const std::size_t length = buffer_.size() - run_.items_at;
    char* at = buffer_.data() + run_.items_at;
    for (std::size_t left = length, i = 0; i < 4; ++i, left >>= 8) *--at = static_cast<char>(left);
    run_ = {};
}

void Writer::add(const Task& task) {
    if (task.properties) return add<Task>(task);
    if (task.id || task.left_us < -1 || !fits_run(task.number, task.seq)) return add_plain(task);
    const auto left = static_cast<std::uint64_t>(task.left_us) + 1;  // 0: none
    add_to_run(kTaskRun, task.number, task.seq, {task.ordinal, task.attempts, left, task.age_us}, task.payload);
}

void Writer::add(const Report& report) {
    if (report.details || report.properties) return add<Report>(report);
    if (report.id || !report.error.empty() || !fits_run(report.number, report.seq)) return add_plain(report);
    const auto kind = static_cast<std::uint64_t>(report.kind);
    add_to_run(kReportRun, report.number, report.seq, {kind, report.ordinal, report.attempts, report.latency_us},
               report.payload);
}

/// Without what few of them have.
template <typename R>
void Writer::add_plain(const R& record) {
    close_run();
    leave_room_for_envelope();
    Packer packer(buffer_);
    put_record(packer, R::kType, const_cast<R&>(record).plain_fields());
}

void Writer::leave_room_for_envelope() {
    static constexpr char kRoom[kEnvelopeSize] = {};
    if (!buffer_.empty()) return;
    buffer_.reserve(std::min(usual_ + usual_ / 8, kMostReserved));
    buffer_.write(kRoom, kEnvelopeSize);
}

template <typename R>
void Writer::add(const R& record) {
    close_run();
    leave_room_for_envelope();
    Packer packer(buffer_);
    // fields() is one list for both directions; writing does not change what it refers to.
    put_record(packer, R::kType, const_cast<R&>(record).fields());
}

void Writer::append(Writer& other) {
    if (other.empty()) return;
    close_run();
    other.close_run();
    leave_room_for_envelope();
    const std::string_view records = other.buffer_.view().substr(kEnvelopeSize);
    buffer_.write(records.data(), records.size());
    other.clear();
}

Frame Writer::finish(const Envelope& envelope) {
    close_run();
    leave_room_for_envelope();
    const std::size_t records = size();
    struct Front {
        char* at;
        void write(const char* data, std::size_t size) {
            std::memcpy(at, data, size);
            at += size;
        }
    } front{buffer_.data()};
    msgpack::packer<Front> packer(front);
    packer.pack_array(7);
    packer.pack_uint8(kVersion);
    packer.pack_uint8(static_cast<std::uint8_t>(envelope.kind));
    for (const std::uint64_t number :
         {envelope.broker, envelope.peer, envelope.number, envelope.acked, static_cast<std::uint64_t>(records)}) {
        packer.pack_fix_uint64(number);
    }
    usual_ = buffer_.size();
    return std::exchange(buffer_, {});
}

template void Writer::add<Task>(const Task&);
template void Writer::add(const SharedTasks&);
template void Writer::add(const Token&);
template void Writer::add(const Welcome&);
template void Writer::add(const Ping&);
template void Writer::add(const Cancel&);
template void Writer::add(const Confirm&);
template void Writer::add(const Resend&);
template void Writer::add(const Recall&);
template void Writer::add(const Gone&);
template void Writer::add(const Hello&);
template void Writer::add(const Heartbeat&);
template void Writer::add<Report>(const Report&);
template void Writer::add(const TokenReport&);
template void Writer::add(const Answered&);
template void Writer::add(const Bye&);
template void Writer::add(const Sync&);
template void Writer::add(const BrokerPing&);
template void Writer::add(const Admit&);
template void Writer::add(const SessionGone&);
template void Writer::add(const Lose&);
template void Writer::add(const Verdict&);
template void Writer::add(const CollectorHello&);
template void Writer::add(const Synced&);
template void Writer::add(const Decided&);
template void Writer::add(const Settled&);
template void Writer::add(const Ended&);
template void Writer::add(const Admitted&);
template void Writer::add(const Refused&);
template void Writer::add(const Backlog&);
template void Writer::add(const Complaint&);
template void Writer::add(const CollectorPing&);

}  // namespace curfew::wire
