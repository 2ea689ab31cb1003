// The link between a worker and one of its supervisors: framed records over a stream socket, used
// by both sides.
//
// Each side owns its Link and drives it from its one thread. Nothing blocks: what does not fit
// waits in the link, bounded by the one run a supervisor has at a time (a message this way, a
// result and a few lines that way). A peer that is gone or talks nonsense shows as `false` from
// fill() or flush(); the caller drops the link then. Byte order and layout are the machine's own:
// both ends are of one build, which the version on the supervisor's command line makes sure of.
//
//     worker                supervisor
//       start(run, message) ->
//                           <- started(run, pid)      only of a run that lasts
//                           <- stderr_line(run, line) a few
//                           <- ended(run, ...)        of a program that stays: it has ended, and is started anew
//       stop(run)           ->                        any time, also too late
//       restart(run)        ->                        a program that stays has said what it should not have
//                           <- done(run, ...)         exactly one for each start, when no process of the run is left
#pragma once

#include <sys/resource.h>
#include <sys/types.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace curfew {

inline constexpr std::uint32_t kLinkVersion = 4;
/// The descriptor on which a supervisor finds its end of the link.
inline constexpr int kLinkDescriptor = 3;

/// Owns a descriptor.
class OwnedDescriptor {
public:
    OwnedDescriptor() = default;
    explicit OwnedDescriptor(int fd) : fd_(fd) {}
    OwnedDescriptor(OwnedDescriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
    OwnedDescriptor& operator=(OwnedDescriptor&& other) noexcept {
        if (this != &other) reset(std::exchange(other.fd_, -1));
        return *this;
    }
    OwnedDescriptor(const OwnedDescriptor&) = delete;
    OwnedDescriptor& operator=(const OwnedDescriptor&) = delete;
    ~OwnedDescriptor() { reset(); }

    void reset(int fd = -1);
    [[nodiscard]] int get() const { return fd_; }  ///< -1: none, which poll() passes over
    [[nodiscard]] explicit operator bool() const { return fd_ >= 0; }

private:
    int fd_ = -1;
};

enum class LinkRecordKind : std::uint32_t {
    start = 1,
    stop = 2,
    started = 3,
    stderr_line = 4,
    done = 5,
    ended = 6,
    restart = 7
};

/// Body of `start`. There follow variables of its environment (NAME=VALUE, each with a NUL behind
/// it) of `variables_size` bytes, and the message.
struct StartBody {
    std::uint64_t epoch = 0;
    std::uint64_t seq = 0;
    std::int64_t left_us = -1;  ///< time until the deadline; -1: none
    std::uint32_t ordinal = 1;
    std::uint32_t variables_size = 0;
};

/// What a run is started with, as it came.
struct Start {
    StartBody body;
    std::string_view variables;
    std::string_view message;
};

/// Body of `started`.
struct StartedBody {
    std::int32_t pid = 0;
};

/// Why a run is over.
enum class Cause : std::uint32_t {
    finished = 1,     ///< its process ended by itself: `exit_code` or `signal`
    stopped = 2,      ///< by a stop or by its deadline
    over_output = 3,  ///< it wrote more than it may
    not_started = 4,  ///< `error` is the errno, the note says what failed (empty: the exec)
    // Of a program that stays:
    answered = 5,  ///< the result is its answer
    broken = 6,    ///< it said what is no frame, or was not asked for; the note is its beginning
    closed = 7,    ///< it has closed its stdout
};

/// Body of `done`, and of `ended`, which has no more than a note. There follow a note of
/// `note_size` bytes (the last line of stderr), the end of stderr (`stderr_size` bytes), and the
/// result.
struct DoneBody {
    Cause cause = Cause::finished;
    /// 1: its process has ended, and the next two say how.
    std::uint32_t has_ended = 0;
    std::int32_t exit_code = 0;
    /// Not 0: it was killed by this signal, and `exit_code` means nothing.
    std::int32_t signal = 0;
    std::int32_t error = 0;
    std::uint32_t note_size = 0;
    std::uint32_t stderr_size = 0;
    std::uint32_t reserved = 0;
    std::uint64_t stderr_bytes = 0;  ///< that were written there, of which those are the last
};

/// A record as it came. The body is a view into the link, valid until its next fill().
struct LinkRecord {
    LinkRecordKind kind;
    std::uint32_t run;
    std::string_view body;
};

/// Takes a fixed part off the front of a body; nothing if the body is too short for it.
template <typename Body>
[[nodiscard]] std::optional<Body> take_front(std::string_view& body) {
    static_assert(std::is_trivially_copyable_v<Body>);
    if (body.size() < sizeof(Body)) return std::nullopt;
    Body fixed;
    std::memcpy(&fixed, body.data(), sizeof(Body));
    body.remove_prefix(sizeof(Body));
    return fixed;
}

class Link {
public:
    explicit Link(OwnedDescriptor socket) : socket_(std::move(socket)) {}

    void queue(LinkRecordKind kind, std::uint32_t run, std::string_view a = {}, std::string_view b = {},
               std::string_view c = {}, std::string_view d = {});
    template <typename Body>
    void queue(LinkRecordKind kind, std::uint32_t run, const Body& body, std::string_view a = {},
               std::string_view b = {}, std::string_view c = {}) {
        static_assert(std::is_trivially_copyable_v<Body> && !std::is_pointer_v<Body>);
        queue(kind, run, std::string_view(reinterpret_cast<const char*>(&body), sizeof(Body)), a, b, c);
    }

    /// Sends what fits. False: the peer is gone.
    [[nodiscard]] bool flush();
    /// Reads what has come. False: the peer is gone, or talks nonsense.
    [[nodiscard]] bool fill();
    /// The next whole record, if there is one.
    [[nodiscard]] std::optional<LinkRecord> next();

    [[nodiscard]] int descriptor() const { return socket_.get(); }
    [[nodiscard]] bool wants_to_send() const { return sent_ < out_.size(); }

private:
    struct Head {
        std::uint32_t size;  ///< of the body
        LinkRecordKind kind;
        std::uint32_t run;
    };
    [[nodiscard]] bool plausible() const;

    OwnedDescriptor socket_;
    std::string in_;
    std::size_t taken_ = 0;  ///< bytes of in_ that next() has handed out
    std::string out_;
    std::size_t sent_ = 0;  ///< bytes of out_ that are on their way
};

/// Whether what the work reads on its stdin ends with a newline that the message has not.
enum class StdinForm : std::uint8_t { exact, line };

/// How messages and answers are told apart by a program that stays; none: it is started for each.
enum class Framing : std::uint8_t { none, line, netstring };

/// How each run is started, the same for all of them.
struct RunSetup {
    StdinForm stdin_form = StdinForm::exact;
    std::string placeholder = "{}";      ///< not empty; stands for the message in arguments
    rlim_t descriptors = RLIM_INFINITY;  ///< soft limit, as far as the hard one allows
    /// Numbers of the descriptors that a run inherits, beyond 0 to 2.
    std::vector<int> handed_on;
    Framing framing = Framing::none;
    /// Answers after which a program that stays is started anew; 0: never.
    std::uint64_t recycle = 0;
};

/// How a supervisor is started. Its command line:
///     PATH VERSION GRACE_US MAX_OUTPUT exact|line PLACEHOLDER DESCRIPTORS N,N... none|line|netstring RECYCLE COMMAND
///     [ARG...]
/// The descriptors to be handed on are on those behind the link's, in the order of their numbers
/// there.
struct SupervisorStart {
    const std::string& path;
    std::chrono::microseconds grace;
    std::size_t max_output;
    const RunSetup& setup;
    /// One for each of the numbers, above where they go.
    const std::vector<OwnedDescriptor>& handed_on;
    /// NAME=value, in place of our own of that name.
    const std::vector<std::string>& environment;
};

/// Starts the process at the other end of a link, our child `pid`, in a session of its own. Returns
/// errno.
[[nodiscard]] int start_supervisor_process(const SupervisorStart& how, const std::vector<std::string>& command,
                                           const OwnedDescriptor& link, pid_t& pid);

}  // namespace curfew
