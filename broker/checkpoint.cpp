#include "broker/checkpoint.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <system_error>
#include <thread>
#include <utility>

#include "common/process/clock.h"
#include "common/process/options.h"
#include "common/words/exit_code.h"

namespace curfew {
namespace {

using namespace std::chrono_literals;

constexpr Duration kEvery = 2s;
/// The one before may be on its way out.
constexpr Duration kLockPatience = 2s;
/// In a turn.
constexpr std::size_t kPiece = 512 << 10;

std::uint32_t crc32_of(std::string_view bytes, std::uint32_t before = 0) {
    return static_cast<std::uint32_t>(
        ::crc32_z(before, reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size()));
}

[[noreturn]] void refuse(const std::string& text) {
    throw Unusable(kExitUsage, text);
}
[[noreturn]] void cannot_write(const std::string& path, int error) {
    throw std::system_error(error, std::generic_category(), fmt::format("cannot write the checkpoint '{}'", path));
}

void write_all(int descriptor, std::string_view bytes, const std::string& path) {
    while (!bytes.empty()) {
        const ssize_t size = ::write(descriptor, bytes.data(), bytes.size());
        if (size < 0 && errno == EINTR) continue;
        if (size < 0) cannot_write(path, errno);
        bytes.remove_prefix(static_cast<std::size_t>(size));
    }
}

std::string read_all(int descriptor) {
    std::string text;
    char part[64 << 10];
    for (ssize_t size = 0; (size = ::pread(descriptor, part, sizeof part, static_cast<off_t>(text.size()))) > 0;)
        text.append(part, static_cast<std::size_t>(size));
    return text;
}

std::uint64_t natural(const nlohmann::json& object, const char* name) {
    const auto found = object.find(name);
    if (found == object.end() || !found->is_number_unsigned())
        throw std::invalid_argument(fmt::format("its '{}' is no number", name));
    return found->get<std::uint64_t>();
}

}  // namespace

// ---- the text ----------------------------------------------------------------------------------

std::string text_of(const CheckpointState& state) {
    nlohmann::json settled = nlohmann::json::array();
    for (const Interval& range : state.settled) settled.push_back({range.first, range.last});
    const nlohmann::json object{{"version", kCheckpointVersion},
                                {"epoch", state.epoch},
                                {"input", {{"bytes", state.read}, {"crc32", state.checksum}, {"null", state.null}}},
                                {"settled", settled}};
    const std::string line = object.dump() + "\n";
    return line + fmt::format("{:08x}\n", crc32_of(line));
}

CheckpointState checkpoint_of(std::string_view text) {
    const std::size_t line_ends = text.find('\n');
    const std::string_view line = text.substr(0, line_ends == std::string_view::npos ? 0 : line_ends + 1);
    if (line.empty() || text.substr(line.size()) != fmt::format("{:08x}\n", crc32_of(line)))
        throw std::invalid_argument("it is damaged: its checksum is another");
    const auto object = nlohmann::json::parse(line, nullptr, false);
    if (!object.is_object()) throw std::invalid_argument("it is no JSON object");
    const std::uint64_t version = natural(object, "version");
    if (version == 0 || version > kCheckpointVersion)
        throw std::invalid_argument(
            fmt::format("it is of version {}, and this curfew reads up to {}", version, kCheckpointVersion));
    CheckpointState state;
    state.epoch = natural(object, "epoch");
    const auto input = object.value("input", nlohmann::json::object());
    state.read = natural(input, "bytes");
    state.checksum = static_cast<std::uint32_t>(natural(input, "crc32"));
    state.null = input.value("null", nlohmann::json(false)) == true;
    for (const auto& range : object.value("settled", nlohmann::json::array())) {
        const bool is_range = range.is_array() && range.size() == 2 && range[0].is_number_unsigned() &&
                              range[1].is_number_unsigned() && range[0] <= range[1];
        if (!is_range) throw std::invalid_argument("its 'settled' is no list of ranges");
        state.settled.push_back({range[0].get<std::uint64_t>(), range[1].get<std::uint64_t>()});
    }
    return state;
}

// ---- its start ---------------------------------------------------------------------------------

Checkpoint::Checkpoint(std::string path, std::string input) : path_(std::move(path)), input_path_(std::move(input)) {}

Checkpoint::Checkpoint(std::string path, std::string input, bool null) : Checkpoint(std::move(path), std::move(input)) {
    state_.null = null;
    input_ = ::open(input_path_.c_str(), O_RDONLY | O_CLOEXEC);
    struct stat found {};
    if (input_ < 0 || ::fstat(input_, &found) != 0 || !S_ISREG(found.st_mode))
        refuse(fmt::format("--checkpoint: '{}' is no file: only a file can hand its messages over again", input_path_));
    open_and_lock();
    load();
}

Checkpoint::~Checkpoint() {
    if (file_ >= 0) ::close(file_);
    if (input_ >= 0) ::close(input_);
}

/// Who has written it last holds the lock of what he has put in its place.
void Checkpoint::open_and_lock() {
    for (const Instant until = Clock::now() + kLockPatience;;) {
        file_ = ::open(path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
        if (file_ < 0)
            throw Unusable(exit_code_of(errno),
                           fmt::format("--checkpoint: cannot write '{}': {}", path_, std::strerror(errno)));
        struct stat opened {
        }, there{};
        const bool locked = ::flock(file_, LOCK_EX | LOCK_NB) == 0;
        if (locked && ::fstat(file_, &opened) == 0 && ::stat(path_.c_str(), &there) == 0 &&
            opened.st_ino == there.st_ino && opened.st_dev == there.st_dev)
            return;
        ::close(std::exchange(file_, -1));
        if (Clock::now() >= until)
            refuse(
                fmt::format("--checkpoint: another broker goes on from '{}': is the run before still there?", path_));
        std::this_thread::sleep_for(20ms);  // nobody tells when a lock is let go
    }
}

void Checkpoint::load() {
    const std::string text = read_all(file_);
    if (text.empty()) return;
    try {
        found_ = checkpoint_of(text);
    } catch (const std::invalid_argument& error) {
        refuse(fmt::format(
            "--checkpoint '{}': {}. Restore it; or begin anew: move it away, and the output with its journal", path_,
            error.what()));
    }
    if (found_->null != state_.null)
        refuse(fmt::format("--checkpoint '{}': that run was {} --null, so its messages had other numbers", path_,
                           found_->null ? "with" : "without"));
    while (state_.read < found_->read && add_some(found_->read) > 0) {
    }
    if (state_.read == found_->read && state_.checksum == found_->checksum) return;
    const bool is_short = state_.read < found_->read;
    refuse(fmt::format(
        "--checkpoint '{}' is of another input: '{}' {}. Give the one that was read; or begin anew: move the "
        "checkpoint away, and the output with its journal",
        path_, input_path_,
        is_short ? fmt::format("has {} bytes, and {} had been read", state_.read, found_->read)
                 : fmt::format("was changed within the {} bytes that had been read", found_->read)));
}

void Checkpoint::begin(Epoch epoch) {
    state_.epoch = epoch;
    save(Clock::now(), found_ ? found_->settled : Intervals());
}

// ---- while it is read --------------------------------------------------------------------------

/// Returns how many bytes that were: 0 at the end of the file.
std::size_t Checkpoint::add_some(std::uint64_t until) {
    std::string part(static_cast<std::size_t>(std::min<std::uint64_t>(kPiece, until - state_.read)), '\0');
    const ssize_t size = ::pread(input_, part.data(), part.size(), static_cast<off_t>(state_.read));
    if (size <= 0) return 0;
    const auto bytes = static_cast<std::size_t>(size);
    state_.checksum = crc32_of(std::string_view(part).substr(0, bytes), state_.checksum);
    state_.read += bytes;
    return bytes;
}

void Checkpoint::follow(std::uint64_t read) {
    if (read > state_.read) (void)add_some(read);
}

void Checkpoint::save(Instant now, const Intervals& settled) {
    due_at_ = now + kEvery;
    state_.settled = settled;
    if (saved_ == state_) return;
    replace();
    saved_ = state_;
}

void Checkpoint::replace() {
    const std::string next = path_ + ".new";
    const int file = ::open(next.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (file < 0) cannot_write(next, errno);
    (void)::flock(file, LOCK_EX | LOCK_NB);
    write_all(file, text_of(state_), next);
    if (::fdatasync(file) != 0) cannot_write(next, errno);
    if (::rename(next.c_str(), path_.c_str()) != 0) cannot_write(path_, errno);
    ::close(std::exchange(file_, file));
}

}  // namespace curfew
