#include "broker/checkpoint.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <system_error>
#include <utility>

#include "common/process/clock.h"
#include "common/process/log.h"
#include "common/process/options.h"
#include "common/tables/crc32.h"
#include "common/words/exit_code.h"

namespace curfew {
namespace {

using namespace std::chrono_literals;

constexpr Duration kEvery = 2s;
/// In a turn.
constexpr std::size_t kPiece = 512 << 10;

[[noreturn]] void refuse(const std::string& text) {
    throw Unusable(kExitUsage, text);
}
std::uint64_t natural(const nlohmann::json& object, const char* name) {
    const auto found = object.find(name);
    if (found == object.end() || !found->is_number_unsigned())
        throw std::invalid_argument(fmt::format("its '{}' is no number", name));
    return found->get<std::uint64_t>();
}

std::string text_in(const nlohmann::json& object, const char* name) {
    const auto found = object.find(name);
    return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

nlohmann::json json_of(const Intervals& ranges) {
    nlohmann::json list = nlohmann::json::array();
    for (const Interval& range : ranges) list.push_back({range.first, range.last});
    return list;
}

Intervals ranges_of(const nlohmann::json& object, const char* name) {
    Intervals ranges;
    for (const auto& range : object.value(name, nlohmann::json::array())) {
        const bool is_range = range.is_array() && range.size() == 2 && range[0].is_number_unsigned() &&
                              range[1].is_number_unsigned() && range[0] <= range[1];
        if (!is_range) throw std::invalid_argument(fmt::format("its '{}' is no list of ranges", name));
        ranges.push_back({range[0].get<std::uint64_t>(), range[1].get<std::uint64_t>()});
    }
    return ranges;
}

}  // namespace

// ---- the text ----------------------------------------------------------------------------------

std::string text_of(const CheckpointState& state) {
    const nlohmann::json object{
        {"version", kCheckpointVersion},
        {"epoch", state.epoch},
        {"input", {{"bytes", state.read}, {"crc32", state.checksum}, {"null", state.null}, {"unended", state.unended}}},
        {"settled", json_of(state.settled)},
        {"passed", json_of(state.passed)},
        {"failures", state.failures},
        {"wish", state.wish},
        {"command", state.command}};
    // Of a command that is no UTF-8 the rest has to do
    const std::string line = object.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
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
    state.unended = input.value("unended", nlohmann::json(false)) == true;
    state.settled = ranges_of(object, "settled");
    state.passed = ranges_of(object, "passed");
    state.failures = object.contains("failures") ? natural(object, "failures") : 0;
    state.wish = text_in(object, "wish");
    state.command = text_in(object, "command");
    return state;
}

// ---- its start ---------------------------------------------------------------------------------

Checkpoint::Checkpoint(Place place) : Checkpoint(Unopened{}, std::move(place)) {
    state_.null = place_.null;
    state_.command = place_.command;
    open_input();
    try {
        file_ = std::make_unique<ReplacedFile>(place_.path);
    } catch (const std::system_error& error) {
        if (error.code().value() == EWOULDBLOCK)
            refuse(fmt::format("--checkpoint: another broker goes on from '{}': is the run before still there?",
                               place_.path));
        throw Unusable(exit_code_of(error.code().value()), fmt::format("--checkpoint: {}", error.what()));
    }
    load();
}

Checkpoint::~Checkpoint() {
    if (input_ >= 0) ::close(input_);
}

void Checkpoint::open_input() {
    input_ = ::open(place_.input.c_str(), O_RDONLY | O_CLOEXEC);
    struct stat found {};
    if (input_ < 0 || ::fstat(input_, &found) != 0 || !S_ISREG(found.st_mode))
        refuse(
            fmt::format("--checkpoint: '{}' is no file: only a file can hand its messages over again", place_.input));
}

void Checkpoint::load() {
    const std::string text = file_->found();
    if (text.empty()) return;
    try {
        found_ = checkpoint_of(text);
    } catch (const std::invalid_argument& error) {
        refuse(fmt::format(
            "--checkpoint '{}': {}. Restore it; or begin anew: move it away, and the output with its journal",
            place_.path, error.what()));
    }
    if (found_->null != state_.null)
        refuse(fmt::format("--checkpoint '{}': that run was {} --null, so its messages had other numbers", place_.path,
                           found_->null ? "with" : "without"));
    compare_input(*found_);
    if (found_->command != state_.command)
        log::warn("another_command before={} now={} note=\"what is done stays as it is\"", log::quoted(found_->command),
                  log::quoted(state_.command));
}

void Checkpoint::compare_input(const CheckpointState& found) {
    while (state_.read < found.read && add_some(found.read) > 0) {
    }
    if (state_.read == found.read && state_.checksum == found.checksum) {
        char next = 0;
        const bool has_grown = ::pread(input_, &next, 1, static_cast<off_t>(found.read)) == 1;
        if (!found.unended || !has_grown || next == separator()) return;
        refuse(fmt::format(
            "--checkpoint '{}': '{}' ended without a {} at byte {}, and has grown since: its last message is another "
            "now. Give the one that was read; or begin anew: move the checkpoint away, and the output with its journal",
            place_.path, place_.input, place_.null ? "NUL" : "newline", found.read));
    }
    const bool is_short = state_.read < found.read;
    refuse(fmt::format(
        "--checkpoint '{}' is of another input: '{}' {}. Give the one that was read; or begin anew: move the "
        "checkpoint away, and the output with its journal",
        place_.path, place_.input,
        is_short ? fmt::format("has {} bytes, and {} had been read", state_.read, found.read)
                 : fmt::format("was changed within the {} bytes that had been read", found.read)));
}

void Checkpoint::begin(Epoch epoch, const Intervals& passed, const std::string& wish) {
    state_.epoch = epoch;
    state_.passed = passed;
    state_.wish = wish;
    const bool goes_on = found_ && found_->epoch == epoch;
    goes_on ? save(Clock::now(), found_->settled, found_->failures) : save(Clock::now(), {}, 0);
    file_->wait();
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
    last_byte_ = part[bytes - 1];
    return bytes;
}

void Checkpoint::follow(std::uint64_t read) {
    target_ = read;
    if (read > state_.read) (void)add_some(read);
}

void Checkpoint::save(Instant now, const Intervals& settled, std::uint64_t failures) {
    due_at_ = now + kEvery;
    state_.settled = settled;
    state_.failures = failures;
    const bool is_at_place = state_.read > 0 && state_.read == std::max(target_, found_ ? found_->read : 0);
    state_.unended = is_at_place && last_byte_ != separator();
    if (saved_ == state_) return;
    file_->replace(text_of(state_));
    saved_ = state_;
}

}  // namespace curfew
