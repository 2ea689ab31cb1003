// The wire: golden bytes and a round trip of every record, and what the reader makes of frames that
// are cut, flipped, hostile or from another version. A change of a golden line is a change of the
// protocol: see how it is done safely in common/wire/wire.h.
#include "common/wire/wire_reader.h"
#include "common/wire/wire_writer.h"

#include <gtest/gtest.h>

#include <fstream>
#include <random>
#include <set>

#include "tests/support/frames.h"
#include "tests/support/wire_samples.h"

namespace curfew::wire {
namespace {

using support::Frame;
using support::frame_of;
using support::read_frame;

constexpr Envelope kEnvelope{Kind::control, 2, 3, 4, 5};

std::string hex(std::string_view bytes) {
    static constexpr char kDigits[] = "0123456789abcdef";
    std::string text;
    for (const char c : bytes) {
        text += kDigits[static_cast<unsigned char>(c) >> 4];
        text += kDigits[static_cast<unsigned char>(c) & 15];
    }
    return text;
}

/// An envelope for `body`, in the shortest form that msgpack has: also a check that any form is
/// read.
std::string framed(std::string_view body, unsigned version = kVersion, unsigned kind = 2,
                   std::size_t length = SIZE_MAX) {
    const std::size_t size = length == SIZE_MAX ? body.size() : length;
    std::string frame{'\x97', static_cast<char>(version), static_cast<char>(kind), 2, 3, 4, 5, '\xcd'};
    frame += static_cast<char>(size >> 8 & 255);
    frame += static_cast<char>(size & 255);
    return frame.append(body);
}

/// A frame with this record alone.
template <typename R>
std::string again(const R& record) {
    Writer writer;
    writer.add(record);
    return writer.finish(kEnvelope);
}

/// Without the envelope.
template <typename R>
std::string body_of(const R& record) {
    Writer writer;
    writer.add(record);
    const std::size_t size = writer.size();
    const std::string frame = writer.finish(kEnvelope);
    return frame.substr(frame.size() - size);
}

// ---- golden bytes, round trip ------------------------------------------------------------------

TEST(Wire, TheEnvelopeHasItsGoldenBytes) {
    EXPECT_EQ(hex(frame_of(kEnvelope)),
              "970102"
              "cf0000000000000002cf0000000000000003cf0000000000000004cf0000000000000005cf0000000000000000");
    EXPECT_EQ(hex(frame_of({Kind::tasks, 128, 256, 65'536, 1ULL << 32}, Gone{})),
              "970101"
              "cf0000000000000080cf0000000000000100cf0000000000010000cf0000000100000000cf0000000000000002"
              "9108");
}

TEST(Wire, EveryRecordHasItsGoldenBytes) {
    std::set<int> checked;
    support::each_sample([&](const auto& record, std::string_view golden) {
        EXPECT_EQ(hex(body_of(record)), golden) << "type " << int{record.kType};
        checked.insert(record.kType);
    });
    EXPECT_EQ(checked.size(), std::variant_size_v<Record>) << "a record type without golden bytes";
}

TEST(Wire, EveryRecordComesBackAsItWas) {
    support::each_sample([](const auto& record, std::string_view) {
        using R = std::decay_t<decltype(record)>;
        const std::string bytes = again(record);
        const Frame frame = read_frame(bytes);
        ASSERT_EQ(frame.error, Error::none);
        ASSERT_EQ(frame.records.size(), 1U);
        ASSERT_TRUE(std::holds_alternative<R>(frame.records[0]));
        EXPECT_EQ(again(std::get<R>(frame.records[0])), bytes);
    });
}

TEST(Wire, TheEnvelopeComesBackAsItWas) {
    const Frame frame = read_frame(frame_of({Kind::to_broker, UINT64_MAX, 1, 2, 3}, Synced{}));
    EXPECT_EQ(frame.envelope.kind, Kind::to_broker);
    EXPECT_EQ(frame.envelope.broker, UINT64_MAX);
    EXPECT_EQ(frame.envelope.peer, 1U);
    EXPECT_EQ(frame.envelope.number, 2U);
    EXPECT_EQ(frame.envelope.acked, 3U);
}

TEST(Wire, AllRecordsTravelInOneFrameInTheirOrder) {
    Writer writer;
    std::vector<std::uint8_t> types;
    support::each_sample([&](const auto& record, std::string_view) {
        writer.add(record);
        types.push_back(record.kType);
    });
    const Frame frame = read_frame(writer.finish(kEnvelope));
    EXPECT_TRUE(writer.empty()) << "reusable";
    ASSERT_EQ(frame.error, Error::none);
    ASSERT_EQ(frame.records.size(), types.size());
    for (std::size_t i = 0; i < types.size(); ++i) {
        std::visit([&](const auto& record) { EXPECT_EQ(record.kType, types[i]); }, frame.records[i]);
    }
}

TEST(Wire, AppendMovesTheRecordsOfAnotherWriterBehind) {
    Writer first, second;
    first.add(Token{1});
    second.add(Token{2});
    first.append(second);
    EXPECT_TRUE(second.empty());
    EXPECT_EQ(read_frame(first.finish(kEnvelope)).all<Token>().at(1).round, 2U);
}

constexpr std::int64_t kHundredYearsUs = 100LL * 365 * 24 * 3600 * 1'000'000;

TEST(Wire, ATimeThatCannotBeAddedToOursIsRefused) {
    Task task;
    task.number = task.seq = 1;
    SharedTasks shared;
    shared.to = {{1, 1, 1}};
    shared.seq = 1;
    shared.items = "\xa1x";
    for (const std::int64_t left : {kHundredYearsUs + 1, INT64_MAX, INT64_MIN, std::int64_t{-2}}) {
        task.left_us = shared.left_us = left;
        EXPECT_EQ(read_frame(again(task)).error, Error::malformed) << left;
        EXPECT_EQ(read_frame(again(shared)).error, Error::malformed) << left;
    }
}

TEST(Wire, ExtremeNumbersAndAnyBytesSurvive) {
    Task task;
    task.number = task.seq = task.age_us = UINT64_MAX;
    task.ordinal = UINT32_MAX;
    task.left_us = kHundredYearsUs;
    const std::string payload("\0\xff\xc1 \n", 5);
    task.payload = payload;
    task.id = std::string_view();
    const Frame frame = read_frame(again(task));
    ASSERT_EQ(frame.records.size(), 1U);
    const Task read = frame.all<Task>().at(0);
    EXPECT_EQ(read.number, UINT64_MAX);
    EXPECT_EQ(read.left_us, kHundredYearsUs);
    EXPECT_EQ(read.payload, payload);
    ASSERT_TRUE(read.id.has_value()) << "an empty id is an id";
    EXPECT_TRUE(read.id->empty());
}

// ---- runs --------------------------------------------------------------------------------------

Task task_of(AttemptNumber number, Seq seq, std::string_view payload) {
    Task task;
    task.number = number;
    task.seq = seq;
    task.attempts = 2;
    task.left_us = 30;
    task.payload = payload;
    return task;
}

Report report_of(AttemptNumber number, Seq seq, std::string_view payload) {
    Report report;
    report.number = number;
    report.seq = seq;
    report.latency_us = 7;
    report.payload = payload;
    return report;
}

/// What a list of records of one type says, number by number.
template <typename R>
std::string told(const std::vector<R>& records) {
    std::string text;
    for (const R& record : records) {
        text +=
            std::to_string(record.number) + "/" + std::to_string(record.seq) + "=" + std::string(record.payload) + " ";
    }
    return text;
}

TEST(WireRuns, TasksThatFollowEachOtherShareOneRecord) {
    Writer writer;
    writer.add(task_of(5, 70, "a"));
    writer.add(task_of(6, 71, "b"));
    writer.add(task_of(7, 73, "c"));
    const std::size_t size = writer.size();
    const std::string frame = writer.finish(kEnvelope);
    EXPECT_EQ(hex(frame.substr(frame.size() - size)),
              "98090546"
              "01021f00"
              "c60000000b"
              "c40161"
              "c40162"
              "0001c40163");
    const Frame read = read_frame(frame);
    ASSERT_EQ(read.error, Error::none);
    const auto tasks = read.all<Task>();
    EXPECT_EQ(told(tasks), "5/70=a 6/71=b 7/73=c ");
    for (const Task& task : tasks) {
        EXPECT_EQ(task.attempts, 2U);
        EXPECT_EQ(task.left_us, 30);
        EXPECT_FALSE(task.id);
    }
}

TEST(WireRuns, ReportsThatFollowEachOtherShareOneRecord) {
    Writer writer;
    writer.add(report_of(1, 4, "a"));
    writer.add(report_of(3, 5, ""));
    const std::size_t size = writer.size();
    const std::string frame = writer.finish(kEnvelope);
    EXPECT_EQ(hex(frame.substr(frame.size() - size)),
              "980f0104"
              "01010107"
              "c600000007"
              "c40161"
              "0100c400");
    EXPECT_EQ(told(read_frame(frame).all<Report>()), "1/4=a 3/5= ");
}

TEST(WireRuns, ARunEndsWhereSomethingElseIsShared) {
    Writer writer;
    std::string expected;
    const auto add = [&](Task task) {
        writer.add(task);
        expected += std::to_string(task.number) + " " + std::to_string(task.ordinal) + " " +
                    std::to_string(task.left_us) + " " + std::to_string(task.age_us) + " " +
                    std::string(task.id.value_or("-")) + "\n";
    };
    Task other = task_of(2, 2, "");
    other.ordinal = 2;
    Task late = task_of(4, 4, "");
    late.left_us = -1;
    Task named = task_of(6, 6, "");
    named.id = "me";
    Task back = task_of(3, 3, "");  // numbers of a run go up
    back.age_us = 9;
    for (const Task& task : {task_of(1, 1, ""), other, task_of(3, 3, ""), late, task_of(5, 5, ""), named,
                             task_of(7, 7, ""), task_of(2, 8, ""), task_of(3, 2, ""), back}) {
        add(task);
    }
    std::string found;
    const Frame frame = read_frame(writer.finish(kEnvelope));
    for (const Task& task : frame.all<Task>()) {
        found += std::to_string(task.number) + " " + std::to_string(task.ordinal) + " " + std::to_string(task.left_us) +
                 " " + std::to_string(task.age_us) + " " + std::string(task.id.value_or("-")) + "\n";
    }
    EXPECT_EQ(found, expected);
}

TEST(WireRuns, OtherRecordsKeepTheirPlaceBetweenRuns) {
    Writer writer;
    writer.add(task_of(1, 1, "a"));
    writer.add(Token{9});
    writer.add(task_of(2, 2, "b"));
    const Frame read = read_frame(writer.finish(kEnvelope));
    ASSERT_EQ(read.records.size(), 3U);
    EXPECT_TRUE(std::holds_alternative<Token>(read.records[1]));
    EXPECT_EQ(std::get<Task>(read.records[2]).payload, "b");
}

TEST(WireRuns, AnyMixComesBackAsItWas) {
    std::mt19937_64 random(4);
    for (int round = 0; round < 300; ++round) {
        Writer writer;
        std::string expected;
        AttemptNumber number = 0;
        Seq seq = 0;
        for (int i = 0; i < 40; ++i) {
            number += 1 + (random() % 4 == 0 ? random() % 1'000'000 : 0);
            seq += 1 + (random() % 4 == 0 ? random() % 1'000'000 : 0);
            const std::string payload(random() % 300, 'x');
            Report report = report_of(number, seq, payload);
            if (random() % 8 == 0) report.kind = ReportKind::late;
            if (random() % 8 == 0) report.error = "why";
            writer.add(report);
            expected += told(std::vector<Report>{report});
        }
        const Frame read = read_frame(writer.finish(kEnvelope));
        ASSERT_EQ(read.error, Error::none);
        ASSERT_EQ(told(read.all<Report>()), expected);
    }
}

TEST(WireRuns, ARunThatIsCutOrFlippedNeverCrashesTheReader) {
    Writer writer;
    for (const std::uint64_t n : {1U, 2U, 4U, 9U}) writer.add(report_of(n, n, "payload"));
    const std::string whole = writer.finish(kEnvelope);
    for (std::size_t size = 0; size < whole.size(); ++size) {
        EXPECT_EQ(read_frame(whole.substr(0, size)).error, Error::malformed);
    }
    for (std::size_t bit = 0; bit < whole.size() * 8; ++bit) {
        std::string flipped = whole;
        flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ (1 << bit % 8));
        EXPECT_LE(read_frame(flipped).records.size(), 4U);
    }
}

TEST(WireRuns, ARunThatIsWrongIsMalformed) {
    using namespace std::string_literals;
    const std::string front = "\x98\x09\x05\x46\x01\x02\x1f\x00"s;
    const std::string high = "\x98\x09\xcf\xff\xff\xff\xff\xff\xff\xff\xfd\x46\x01\x02\x1f\x00"s;
    const auto bin = [](const std::string& items) { return "\xc4"s + static_cast<char>(items.size()) + items; };
    EXPECT_EQ(told(read_frame(framed(front + bin("\xa1x\x00\xcc\x07\xc4\x01y"s))).all<Task>()), "5/70=x 6/78=y ");
    EXPECT_EQ(told(read_frame(framed(front + bin("\xd9\x01x\xc5\x00\x01y"s))).all<Task>()), "5/70=x 6/71=y ");
    for (const std::string& body : {
             front + bin(""),            // nothing in it
             front + "\x91\xa1x",        // a list
             front + bin("\x01"),        // half of what is left out
             front + bin("\x01\x01"),    // and nothing behind it
             front + bin("\x01\xa1x"),   // half again
             front + bin("\xc0"),        // no payload
             front + bin("\xa1x\xa2y"),  // a payload that is cut
             front + bin("\xc5\x01"),    // its length is cut
             front + bin("\xc6\xff\xff\xff\xff"),
             front + bin("\xcf\xff\xff\xff\xff\xff\xff\xff\xff\x00\xa1x"s),  // beyond all numbers
             // The last number there is not
             high + bin("\xa1x\xa1y"),
             "\x98\x09\x00\x46\x01\x02\x1f\x00"s + bin("\xa1x"),  // number 0
             "\x97\x09\x05\x46\x01\x02\x1f"s + bin("\xa1x"),      // a field less
             // No such kind of report
             "\x98\x0f\x05\x46\x09\x02\x1f\x00"s + bin("\xa1x"),
             // A time beyond ours
             "\x98\x09\x05\x46\x01\x02\xcf\x7f\xff\xff\xff\xff\xff\xff\xff\x00"s + bin("\xa1x"),
         }) {
        EXPECT_EQ(read_frame(framed(body)).error, Error::malformed) << hex(body);
    }
}

// ---- other versions ----------------------------------------------------------------------------

TEST(Wire, AnotherVersionIsRefusedWhateverFollows) {
    EXPECT_EQ(read_frame(framed("", 2)).error, Error::version);
    EXPECT_EQ(read_frame(framed("", 0)).error, Error::version);
    EXPECT_EQ(read_frame("\x92\x02\xc0").error, Error::version);
}

TEST(Wire, AnotherKindThanTheSocketExpectsIsRefused) {
    Reader reader;
    Envelope envelope;
    const std::string frame = frame_of(kEnvelope, Gone{});
    EXPECT_EQ(reader.open(frame, envelope, {Kind::control}), Error::none);
    EXPECT_EQ(reader.open(frame, envelope, {Kind::tasks, Kind::reports}), Error::kind);
    EXPECT_EQ(read_frame(framed("", kVersion, 0)).error, Error::malformed);
    EXPECT_EQ(read_frame(framed("", kVersion, 7)).error, Error::malformed);
}

TEST(Wire, UnknownRecordTypesArePassedOver) {
    using namespace std::string_literals;
    // [99, [nil, 1.5, {1: "x"}], true], then [2, 7]: a token.
    const std::string body = "\x93\x63\x93\xc0\xcb\x3f\xf8\0\0\0\0\0\0\x81\x01\xa1x\xc3\x92\x02\x07"s;
    const Frame frame = read_frame(framed(body));
    ASSERT_EQ(frame.error, Error::none);
    ASSERT_EQ(frame.records.size(), 1U);
    EXPECT_EQ(frame.all<Token>().at(0).round, 7U);
}

TEST(Wire, AppendedFieldsAreIgnored) {
    const Frame frame = read_frame(framed("\x94\x02\x07\xc0\x91\x01"));
    ASSERT_EQ(frame.error, Error::none);
    EXPECT_EQ(frame.all<Token>().at(0).round, 7U);
}

TEST(Wire, ARecordWithFewerFieldsThanRequiredIsRefused) {
    support::each_sample([](const auto& record, std::string_view) {
        using R = std::decay_t<decltype(record)>;
        if (R::kRequired == 0) return;
        // The type and one field less than required; the fields themselves are not looked at.
        std::string body(1, static_cast<char>(0x90 + R::kRequired));
        body += static_cast<char>(R::kType);
        body.append(R::kRequired - 1, '\x01');
        EXPECT_EQ(read_frame(framed(body)).error, Error::malformed) << "type " << int{R::kType};
    });
}

TEST(Wire, MissingFieldsBeyondTheRequiredTakeDefaults) {
    // No record has such a field as yet; a record without any required one shows the way.
    EXPECT_EQ(read_frame(framed("\x91\x08\x91\x1f")).records.size(), 2U);
    EXPECT_EQ(Task{}.left_us, -1);
    EXPECT_EQ(Report{}.ordinal, 1U);
}

TEST(Wire, StringsAndBinariesAreBothRead) {
    const Frame frame =
        read_frame(framed("\x94\x16\x01\xa3"
                          "abc\xc4\x01p"));
    ASSERT_EQ(frame.error, Error::none);
    EXPECT_EQ(frame.all<Admit>().at(0).name, "abc");
    EXPECT_EQ(frame.all<Admit>().at(0).pool, "p");
}

// ---- hostile frames ----------------------------------------------------------------------------

TEST(Wire, AFrameThatIsCutAnywhereIsRefused) {
    support::each_sample([](const auto& record, std::string_view) {
        const std::string whole = again(record);
        for (std::size_t size = 0; size < whole.size(); ++size) {
            const Frame frame = read_frame(whole.substr(0, size));
            EXPECT_EQ(frame.error, Error::malformed) << "type " << int{record.kType} << " cut at " << size;
            EXPECT_TRUE(frame.records.empty());
        }
    });
}

TEST(Wire, BytesBehindAFrameAreRefused) {
    EXPECT_EQ(read_frame(frame_of(kEnvelope, Gone{}) + "x").error, Error::malformed);
    EXPECT_EQ(read_frame(framed("\x91\x08", kVersion, 2, 3)).error, Error::malformed);
}

TEST(Wire, NoFlippedBitCrashesTheReader) {
    std::size_t read = 0;
    support::each_sample([&](const auto& record, std::string_view) {
        const std::string whole = again(record);
        for (std::size_t bit = 0; bit < whole.size() * 8; ++bit) {
            std::string flipped = whole;
            flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ (1 << bit % 8));
            const Frame frame = read_frame(flipped);
            read += frame.records.size();
            EXPECT_LE(frame.records.size(), 1U);
            if (frame.error == Error::none) {
                EXPECT_LE(frame.envelope.kind, Kind::to_broker);
            }
        }
    });
    EXPECT_GT(read, 1000U) << "a flip within a number is a number";
}

TEST(Wire, RandomBytesBehindAGoodEnvelopeNeverCrashTheReader) {
    std::mt19937_64 random(1);
    for (int i = 0; i < 20'000; ++i) {
        std::string body(random() % 40, '\0');
        for (char& c : body) c = static_cast<char>(random());
        if (!body.empty() && i % 2 == 0) body[0] = static_cast<char>(0x90 + random() % 16);
        if (body.size() > 1 && i % 2 == 0) body[1] = static_cast<char>(random() % 40);
        (void)read_frame(framed(body));
    }
}

/// Most address space this process ever had, in KiB: what an allocation leaves behind even when it
/// was given back.
long peak_kib() {
    std::ifstream status("/proc/self/status");
    for (std::string line; std::getline(status, line);) {
        if (line.starts_with("VmPeak:")) return std::stol(line.substr(7));
    }
    return -1;
}

TEST(Wire, AFewBytesThatClaimBillionsOfElementsAllocateNothing) {
    using namespace std::string_literals;
    const long before = peak_kib();
    for (const std::string& bomb : {"\xdd\xff\0\0\0"s, "\xdd\x02\0\0\0"s, "\xdf\xff\0\0\0"s, "\xdf\x02\0\0\0"s,
                                    "\xdb\xff\0\0\0"s, "\xc6\xff\0\0\0"s, "\xc9\xff\0\0\0\x01"s, "\xdc\xff\xff"s}) {
        EXPECT_EQ(read_frame(bomb).error, Error::malformed);
        EXPECT_EQ(read_frame(framed(bomb)).error, Error::malformed);
        // Where intervals belong
        EXPECT_EQ(read_frame(framed("\x92\x06" + bomb)).error, Error::malformed);
    }
    EXPECT_LT(peak_kib() - before, 64 * 1024);
}

TEST(Wire, ADepthOfTenThousandIsRefused) {
    for (const char level : {'\x91', '\x81'}) {
        const std::string deep(10'000, level);
        EXPECT_EQ(read_frame(deep).error, Error::malformed);
        EXPECT_EQ(read_frame(framed(deep)).error, Error::malformed);
        EXPECT_EQ(read_frame(framed("\x92\x63" + deep)).error, Error::malformed) << "in an unknown record, too";
    }
}

TEST(Wire, WhatIsBadInAFrameSpoilsItFromThereOn) {
    const Frame frame = read_frame(framed("\x92\x02\x07\x92\x02\xc0\x92\x02\x09"));
    EXPECT_EQ(frame.error, Error::malformed);
    ASSERT_EQ(frame.records.size(), 1U);
    EXPECT_EQ(frame.all<Token>().at(0).round, 7U);
}

TEST(Wire, FieldsOfTheWrongTypeOrRangeAreRefused) {
    using namespace std::string_literals;
    for (const std::string& body : {
             "\x92\x02\xff"s,              // a negative round
             "\x92\x02\xa1x"s,             // text for a number
             "\x93\x05\x00\x90"s,          // no such reason
             "\x93\x05\x04\x90"s,          // no such reason
             "\x93\x05\x01\x91\x01"s,      // half an interval
             "\x93\x05\x01\x92\x05\x04"s,  // a range that is none
             "\x92\x06\xc0"s,              // nil for intervals
             // Up to 2^64-1: a loop over it would not end
             "\x92\x06\x92\x01\xcf\xff\xff\xff\xff\xff\xff\xff\xff"s,
             "\x91\xc3"s,  // a type that is no number
             "\x90"s, "\x05"s, "\xc0"s, "\xc1"s,
             "\x94\x16\x01\xa3"
             "ab"s,  // a string that is longer than the frame
         }) {
        EXPECT_EQ(read_frame(framed(body)).error, Error::malformed) << hex(body);
    }
}

TEST(Wire, AReaderIsUsableAfterABadFrame) {
    Reader reader;
    Envelope envelope;
    EXPECT_EQ(reader.open("\xc1", envelope, {Kind::control}), Error::malformed);
    const std::string good = frame_of(kEnvelope, Token{3});
    ASSERT_EQ(reader.open(good, envelope, {Kind::control}), Error::none);
    int records = 0;
    EXPECT_EQ(reader.each<Record>([&](const auto&) { ++records; }), Error::none);
    EXPECT_EQ(records, 1);
}

}  // namespace
}  // namespace curfew::wire
