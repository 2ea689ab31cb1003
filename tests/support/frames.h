// Frames for tests: build them from records, take them apart again. And the clock that only a test
// moves.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "common/wire/wire_reader.h"
#include "common/wire/wire_writer.h"
#include "common/words/vocabulary.h"

namespace curfew::support {

/// Where the clocks of tests start: not at the epoch, so that a forgotten `now` is seen.
inline constexpr Instant kStart = Instant{} + std::chrono::hours(1000);

template <typename... Records>
[[nodiscard]] std::string frame_of(const wire::Envelope& envelope, const Records&... records) {
    wire::Writer writer;
    (writer.add(records), ...);
    return writer.finish(envelope);
}

/// Records and bytes behind them, which need not be one; all in all less than 128 bytes.
template <typename... Records>
[[nodiscard]] std::string frame_with_tail(const wire::Envelope& envelope, std::string_view tail,
                                          const Records&... records) {
    std::string frame = frame_of(envelope, records...).append(tail);
    frame[wire::kEnvelopeSize - 1] = static_cast<char>(frame.size() - wire::kEnvelopeSize);
    return frame;
}

/// A frame that was read: its records, whose views live as long as any copy of this.
struct Frame {
    std::shared_ptr<const std::string> bytes;
    wire::Error error = wire::Error::none;
    wire::Envelope envelope;
    std::vector<wire::Record> records;

    template <typename R>
    [[nodiscard]] std::vector<R> all() const {
        std::vector<R> found;
        for (const wire::Record& record : records) {
            if (const R* one = std::get_if<R>(&record)) found.push_back(*one);
        }
        return found;
    }
};

/// Reads whatever it is: the error is the first there was.
[[nodiscard]] inline Frame read_frame(std::string bytes) {
    using wire::Kind;
    Frame frame;
    frame.bytes = std::make_shared<const std::string>(std::move(bytes));
    wire::Reader reader;
    frame.error =
        reader.open(*frame.bytes, frame.envelope,
                    {Kind::tasks, Kind::control, Kind::reports, Kind::life, Kind::to_collector, Kind::to_broker});
    if (frame.error != wire::Error::none) return frame;
    frame.error = reader.each<wire::Record>([&](const auto& record) { frame.records.emplace_back(record); });
    return frame;
}

/// The frames that were sent in a turn, as one list of records.
struct Sent {
    std::vector<Frame> frames;

    void add(std::string bytes) {
        frames.push_back(read_frame(std::move(bytes)));
        EXPECT_EQ(frames.back().error, wire::Error::none) << "a core wrote a frame that cannot be read";
    }
    template <typename R>
    [[nodiscard]] std::vector<R> all() const {
        std::vector<R> found;
        for (const Frame& frame : frames) {
            for (const R& record : frame.all<R>()) found.push_back(record);
        }
        return found;
    }
    template <typename R>
    [[nodiscard]] std::size_t count() const {
        return all<R>().size();
    }
    /// The one record of its kind.
    template <typename R>
    [[nodiscard]] R only() const {
        const std::vector<R> found = all<R>();
        EXPECT_EQ(found.size(), 1U) << "records of type " << int{R::kType};
        return found.empty() ? R{} : found.front();
    }
};

inline Intervals numbers(std::initializer_list<std::uint64_t> list) {
    IntervalSet set;
    for (const std::uint64_t n : list) set.insert(n);
    return set.intervals();
}

/// The numbers in a list, one by one.
inline std::vector<std::uint64_t> each_of(const Intervals& list) {
    std::vector<std::uint64_t> all;
    for (const Interval& range : list) {
        for (std::uint64_t n = range.first; n <= range.last; ++n) all.push_back(n);
    }
    return all;
}

}  // namespace curfew::support
