// Where outcomes go. A sink is given records in the order in which they are to appear and says
// later which of them it has; only those settle.
//
// Owned by the collector's server, on its thread; never blocks: what cannot be written now waits
// here, and the broker's window bounds it. Errors are thrown as std::system_error and end the
// process (exit 74); a full disk is waited for.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "collector/outcome_record.h"
#include "collector/settled.h"
#include "common/process/poller.h"
#include "common/words/vocabulary.h"

namespace curfew {

/// Appends one record in the sink's form; nothing if the form has nothing for it (a task without a
/// result, in raw).
using Format = void (*)(std::string& out, const OutcomeRecord& outcome);
void append_raw(std::string& out, const OutcomeRecord& outcome);   ///< the result and a newline
void append_json(std::string& out, const OutcomeRecord& outcome);  ///< one line, docs/protocol.md
/// Of a task that did not complete, as a JSON list: its attempts, and how each has ended.
void append_history(std::string& out, const OutcomeRecord& outcome);
/// Where a message stood that was refused, as a JSON object: of lines (or records) with its offset,
/// of frames their number alone.
[[nodiscard]] std::string place_of_refused(const OutcomeRecord& outcome);
/// The same, with what was told of the work.
void append_json_full(std::string& out, const OutcomeRecord& outcome);
/// That without the result.
void append_json_meta(std::string& out, const OutcomeRecord& outcome);

class Sink {
public:
    using Written = std::vector<std::pair<std::uint64_t, Seq>>;  ///< OutcomeRecord::sync and seq
    virtual ~Sink() = default;
    /// What it has, if it knows that over a restart; none: it does not. To be asked once, before
    /// the first put().
    [[nodiscard]] virtual std::optional<Settled::Memory> take_memory() { return std::nullopt; }
    virtual void put(const OutcomeRecord& outcome) = 0;
    /// Says it to who asked, where that is done here; the outcome itself goes to another sink.
    /// False: nobody asked. That it is said take_answered() says, with OutcomeRecord::sync and seq.
    virtual bool answer(const OutcomeRecord& outcome) {
        (void)outcome;
        return false;
    }
    virtual void take_answered(Written& answered) { (void)answered; }
    /// Writes what can be written now; appends the tasks whose outcome it has.
    virtual void flush(Instant now, Written& written) = 0;
    /// Forgets the outcomes of which it has written nothing: the judge has begun anew with its
    /// broker, and is given those results again.
    virtual void forget_waiting() = 0;
    /// It has an outcome of this task that the judge may not count as settled, or will have: what
    /// is put of it once more counts as that.
    [[nodiscard]] virtual bool has(Epoch epoch, Seq seq) const {
        (void)epoch, (void)seq;
        return false;
    }
    /// What wakes the loop when it can go on; nothing when there is nothing to write.
    virtual void wait_for(Poller& poller) { (void)poller; }
    [[nodiscard]] virtual Instant next_deadline() const { return kNever; }
    [[nodiscard]] virtual std::size_t waiting() const = 0;  ///< outcomes it does not have yet
    /// The bytes of those: formatted, and not yet taken by the descriptor or the socket.
    [[nodiscard]] virtual std::size_t waiting_bytes() const = 0;
    [[nodiscard]] virtual std::uint64_t bytes() const = 0;  ///< it has got

    /// Nothing waits, and nothing more will come. Called each turn until it says that all it has is
    /// out of its hands; at `until` the process ends. Throws where some of that is known not to
    /// arrive.
    [[nodiscard]] virtual bool close(Instant now, Instant until) {
        (void)now, (void)until;
        return true;
    }
    /// Outcomes that were said to be written, and may not have arrived if it ends now.
    [[nodiscard]] virtual std::uint64_t uncertain() const { return 0; }
    /// What it waits for, in a word or two; empty: nothing.
    [[nodiscard]] virtual std::string_view waits_for() const { return {}; }
};

/// A sink waits for somebody: said after a second, once, and when it is over.
class SaidWait {
public:
    explicit SaidWait(std::string sink) : sink_(std::move(sink)) {}
    void waits(Instant now, std::string_view what, std::string_view advice);
    void over(Instant now);
    [[nodiscard]] std::string_view what() const { return what_; }
    [[nodiscard]] Instant next_deadline() const { return what_.empty() || said_ ? kNever : since_ + kPatience; }

private:
    static constexpr auto kPatience = std::chrono::seconds(1);
    std::string sink_;
    std::string_view what_;  // a literal
    Instant since_{};
    bool said_ = false;
};

}  // namespace curfew
