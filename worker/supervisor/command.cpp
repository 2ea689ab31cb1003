#include "worker/supervisor/command.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

#include "worker/supervisor/handed_on.h"
#include "worker/supervisor/program_file.h"

namespace curfew {
namespace {

std::string replace_all(const std::string& argument, const std::string& placeholder, std::string_view message) {
    std::string result;
    std::size_t from = 0;
    for (std::size_t at; (at = argument.find(placeholder, from)) != std::string::npos; from = at + placeholder.size()) {
        result.append(argument, from, at - from).append(message);
    }
    return result.append(argument, from);
}

/// Our own environment without what a run gets of its own (also if this curfew is the work of
/// another), and without what is this process's alone: work may start a curfew of its own, and has
/// no business at a queue server.
std::vector<char*> inherited_environment() {
    constexpr std::array<std::string_view, 11> kOwn{
        "CURFEW_AMQP_PASSWORD=",  "CURFEW_TASK=",         "CURFEW_SEQ=",   "CURFEW_ATTEMPT=",
        "CURFEW_DEADLINE_MS=",    "CURFEW_LIFELINE=",     "CURFEW_NAME=",  "CURFEW_MESSAGE_ID=",
        "CURFEW_CORRELATION_ID=", "CURFEW_CONTENT_TYPE=", "CURFEW_HEADER_"};
    std::vector<char*> kept;
    for (char** variable = environ; *variable != nullptr; ++variable) {
        const std::string_view text = *variable;
        if (std::none_of(kOwn.begin(), kOwn.end(), [&](auto own) { return text.starts_with(own); })) {
            kept.push_back(*variable);
        }
    }
    return kept;
}

/// What a run gets of its own.
std::vector<std::string> variables_of(const Start& start) {
    const StartBody& body = start.body;
    std::vector<std::string> own{
        "CURFEW_TASK=" + std::to_string(body.epoch) + "-" + std::to_string(body.seq),
        "CURFEW_SEQ=" + std::to_string(body.seq),
        "CURFEW_ATTEMPT=" + std::to_string(body.ordinal),
    };
    if (body.left_us >= 0) own.push_back("CURFEW_DEADLINE_MS=" + std::to_string(body.left_us / 1000));
    for (std::string_view left = start.variables; !left.empty();) {
        const std::size_t end = std::min(left.find('\0'), left.size());
        own.emplace_back(left.substr(0, end));
        left.remove_prefix(std::min(end + 1, left.size()));
    }
    return own;
}

}  // namespace

Command::Command(std::vector<std::string> words, RunSetup setup, std::vector<OwnedDescriptor> handed_on)
    : words_(std::move(words)),
      setup_(std::move(setup)),
      handed_on_(std::move(handed_on)),
      paths_(paths_of(words_.front())),
      environment_(inherited_environment()) {}

Command::Started Command::start(const Start& start, const PipeEnds& ends) {
    std::vector<OwnedDescriptor> opened;
    if (!open_handed_on(opened)) return {.error = errno, .step = "/dev/fd"};
    const Launched launched = launch_with(start, ends, opened);
    if (launched.pid == 0) return {.error = launched.error, .step = "fork"};
    if (launched.error == 0) path_ = launched.path;
    return {.pid = launched.pid, .error = launched.error};
}

std::string Command::why_not_started(int error) const {
    const bool is_known = error != ENOENT && error != EACCES;
    return is_known ? std::string() : missing_interpreter(executable_of(paths_));
}

/// Above all their numbers, so that none is overwritten before it has its place.
bool Command::open_handed_on(std::vector<OwnedDescriptor>& opened) const {
    const int above = setup_.handed_on.empty() ? 0 : *std::ranges::max_element(setup_.handed_on);
    for (const OwnedDescriptor& file : handed_on_) {
        opened.emplace_back(open_for_attempt(file.get(), above));
        if (!opened.back()) return false;
    }
    return true;
}

/// The message never chooses the command: it replaces {} in the arguments behind it.
std::vector<std::string> Command::arguments_for(std::string_view message) const {
    std::vector<std::string> arguments = words_;
    if (setup_.framing != Framing::none) return arguments;  // messages come on its stdin
    for (std::size_t i = 1; i < arguments.size(); ++i) {
        if (arguments[i].find(setup_.placeholder) != std::string::npos)
            arguments[i] = replace_all(arguments[i], setup_.placeholder, message);
    }
    return arguments;
}

Launched Command::launch_with(const Start& start, const PipeEnds& ends,
                              const std::vector<OwnedDescriptor>& opened) const {
    std::vector<std::string> own;
    if (setup_.framing == Framing::none) own = variables_of(start);
    std::vector<char*> environment = environment_;
    for (std::string& variable : own) environment.push_back(variable.data());
    environment.push_back(nullptr);

    std::vector<std::string> arguments = arguments_for(start.message);
    std::string shell = "/bin/sh";
    std::vector<char*> shell_argv{shell.data()}, argv;
    for (std::string& argument : arguments) argv.push_back(argument.data());
    argv.push_back(nullptr);
    // In the place of its name goes its path
    shell_argv.insert(shell_argv.end(), argv.begin(), argv.end());

    std::vector<DescriptorPlace> handed_on;
    for (std::size_t i = 0; i < opened.size(); ++i)
        handed_on.push_back({.from = opened[i].get(), .number = setup_.handed_on[i]});

    return launch({.paths = paths_,
                   .first = path_,
                   .argv = argv.data(),
                   .shell_argv = shell_argv.data(),
                   .envp = environment.data(),
                   .in = ends.in,
                   .out = ends.out,
                   .err = ends.err,
                   .handed_on = handed_on,
                   .descriptors = setup_.descriptors});
}

}  // namespace curfew
