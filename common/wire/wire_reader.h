// Frames into records. Not thread safe; a Reader is kept and used again, so that reading allocates
// nothing but what a record keeps.
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>
#include <variant>

#include "common/wire/wire.h"

namespace curfew::wire {

/// Takes the tasks of one of the addressees out of a shared record.
class SharedReader {
public:
    SharedReader(const SharedTasks& shared, Session session);

    [[nodiscard]] bool addressed() const { return task_.number != 0; }
    /// The next task, null at the end, or where the record is bad: see good().
    [[nodiscard]] const Task* next();
    [[nodiscard]] bool good() const { return good_; }

private:
    Task task_;
    std::string_view items_;
    AttemptNumber number_ = 0;  // of the next item, if nothing is left out
    Seq seq_ = 0;
    bool good_ = true;
};

/// Why a frame was refused.
enum class Error : std::uint8_t { none, malformed, version, kind };

/// Reads a frame: the envelope first, then record by record. Never throws on bad bytes, never
/// allocates more than in proportion to the frame; a frame that is bad somewhere is refused from
/// there on.
class Reader {
public:
    /// Checks the envelope. `expected` is what the socket is for.
    [[nodiscard]] Error open(std::string_view frame, Envelope& envelope, std::initializer_list<Kind> expected);

    /// The records of the frame, as they came. Only right after open().
    [[nodiscard]] std::string_view records() const { return frame_.substr(offset_); }
    /// Type of the first record, 0 where there is none or it is no record. Only right after open().
    [[nodiscard]] std::uint64_t first_type();
    /// Bytes of the frame up to the end of the record in hand; of a run, up to the end of all of
    /// it.
    [[nodiscard]] std::size_t position() const { return offset_; }

    /// Calls visit(record) for each record of this road (wire.h). Others are passed over: those of
    /// a type that is not known without a word, those that have strayed here are counted. The view
    /// fields point into the frame.
    template <typename Road, typename Visit>
    [[nodiscard]] Error each(Visit&& visit) {
        Road record;
        for (;;) {
            switch (next(record)) {
                case Step::end: return Error::none;
                case Step::bad: return Error::malformed;
                case Step::passed_over: continue;
                case Step::record: std::visit(visit, record);
            }
        }
    }
    /// Records of this frame that each() has met on the wrong road.
    [[nodiscard]] std::size_t strayed() const { return strayed_; }

    /// Where each() has stopped because of Error::malformed: which record of the frame, and as far
    /// as that was read its type and its first field, a number that names it (seq, number,
    /// session), and which field was wrong.
    struct BadPlace {
        std::uint64_t record = 0;  ///< from 1
        std::uint64_t type = 0;    ///< 0: not even that could be read
        std::uint64_t key = 0;
        std::uint64_t field = 0;  ///< from 1; 0: there are too few, or it is no run
        bool operator==(const BadPlace&) const = default;
    };
    [[nodiscard]] const BadPlace& bad_place() const { return bad_; }

    Reader();
    ~Reader();
    Reader(const Reader&) = delete;
    Reader& operator=(const Reader&) = delete;

private:
    enum class Step : std::uint8_t { record, passed_over, end, bad };
    template <typename Road>
    Step next(Road& record);
    Step pass_over();

    struct Parser;
    std::unique_ptr<Parser> parser_;
    Step note_bad(std::uint64_t field);

    std::string_view frame_;
    std::size_t offset_ = 0;
    std::size_t strayed_ = 0;
    BadPlace bad_;  // the record that is being read, while none was bad
};

/// "record 2, report of 17: field 8 cannot be read", for the log.
[[nodiscard]] std::string describe(const Reader::BadPlace& bad);

}  // namespace curfew::wire
