#include "collector/sinks/batch_format.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <iterator>

namespace curfew {
namespace {

constexpr std::string_view kUnknown = "-";

bool continues(std::string_view text, std::size_t at) {
    return at < text.size() && (static_cast<unsigned char>(text[at]) & 0xc0U) == 0x80U;
}

/// Bytes of the character that begins here; 0: none does. As RFC 3629 has it.
std::size_t character_at(std::string_view text, std::size_t at) {
    const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
    const unsigned char first = byte(at);
    if (first < 0x80) return 1;
    if (first < 0xc2 || first > 0xf4 || !continues(text, at + 1)) return 0;
    if (first < 0xe0) return 2;
    const unsigned char second = byte(at + 1);
    if (!continues(text, at + 2)) return 0;
    if (first < 0xf0) return (first == 0xe0 && second < 0xa0) || (first == 0xed && second > 0x9f) ? 0 : 3;
    if ((first == 0xf0 && second < 0x90) || (first == 0xf4 && second > 0x8f)) return 0;
    return continues(text, at + 3) ? 4 : 0;
}

/// Of one byte that cannot stand as it is.
void append_escape(std::string& out, unsigned char byte) {
    switch (byte) {
        case '\t': out += "\\t"; break;
        case '\n': out += "\\n"; break;
        case '\r': out += "\\r"; break;
        case '\\': out += "\\\\"; break;
        default: fmt::format_to(std::back_inserter(out), "\\x{:02x}", byte);
    }
}

std::string exit_of(const ToldWork& work) {
    if (work.signal) return std::to_string(-*work.signal);
    return work.exit_code ? std::to_string(*work.exit_code) : std::string(kUnknown);
}

/// Whose attempt it was that decided, or the last of which there is a word.
std::string_view worker_of(const OutcomeRecord& outcome) {
    if (!outcome.worker.empty()) return outcome.worker;
    if (outcome.work) return outcome.work->worker;
    const std::string_view last = outcome.history.empty() ? std::string_view() : outcome.history.back().worker;
    return last.empty() ? kUnknown : last;
}

}  // namespace

void append_escaped(std::string& out, std::string_view bytes) {
    for (std::size_t at = 0; at < bytes.size();) {
        const std::size_t size = character_at(bytes, at);
        const auto byte = static_cast<unsigned char>(bytes[at]);
        // Those of two bytes from C2 80 to C2 9F are control characters, too
        const bool is_control = size == 1
                                    ? byte < 0x20 || byte == 0x7f || byte == '\\'
                                    : size == 2 && byte == 0xc2 && static_cast<unsigned char>(bytes[at + 1]) < 0xa0;
        const std::size_t taken = std::max<std::size_t>(size, 1);
        if (size != 0 && !is_control) {
            out += bytes.substr(at, size);
        } else {
            for (const char part : bytes.substr(at, taken)) append_escape(out, static_cast<unsigned char>(part));
        }
        at += taken;
    }
}

void append_joblog(std::string& out, const OutcomeRecord& outcome) {
    const auto to = std::back_inserter(out);
    fmt::format_to(to, "{}\t", outcome.seq);
    if (outcome.work && outcome.work->began_us != 0) {
        const std::uint64_t ms = outcome.work->began_us / 1000;
        fmt::format_to(to, "{}.{:03}\t", ms / 1000, ms % 1000);
    } else {
        fmt::format_to(to, "{}\t", kUnknown);
    }
    if (outcome.work) {
        fmt::format_to(to, "{}.{:06}\t", outcome.work->run_us / 1'000'000, outcome.work->run_us % 1'000'000);
    } else {
        fmt::format_to(to, "{}\t", kUnknown);
    }
    append_escaped(out, worker_of(outcome));
    fmt::format_to(to, "\t{}\t{}\t{}\t", outcome.attempts, name_of(outcome.outcome),
                   outcome.work ? exit_of(*outcome.work) : kUnknown);
    append_escaped(out, outcome.message);
    out += '\n';
}

void append_tagged(std::string& out, const OutcomeRecord& outcome) {
    if (outcome.outcome != Outcome::completed) return;
    std::string tag;
    append_escaped(tag, outcome.message);
    tag += '\t';
    for (std::string_view rest = outcome.result.view();;) {
        const std::size_t end = rest.find('\n');
        ((out += tag) += rest.substr(0, end)) += '\n';
        if (end == std::string_view::npos) return;
        rest.remove_prefix(end + 1);
    }
}

}  // namespace curfew
