// Flags, config file and environment of every process: strict, with errors that say what to do.
// CLI11 does the work.
//
// Precedence: command line, then --config FILE (lines of `flag = value`), then the environment
// (CURFEW_ and the flag in capitals: --run-dir is CURFEW_RUN_DIR), then the default. Numbers are
// plain decimal: `010`, `0x10`, `-1` and `1e3` are refused. Durations need a unit (us, ms, s, m,
// h), sizes may have one (k, m, g: powers of 1024).
//
// Every program has --check: it judges what was said and ends, before anything is opened. That is
// how others ask what a value may be, so that nobody keeps a copy of limits. Errors go to stderr;
// where nothing is wrong, stdout gets a line of JSON that describes each flag (describe()).
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "common/look/json_object.h"
#include "common/words/vocabulary.h"

namespace curfew {

/// Parsers of single values; nullopt if the text is not one.
[[nodiscard]] std::optional<std::uint64_t> parse_count(std::string_view text);
[[nodiscard]] std::optional<Duration> parse_duration(std::string_view text);
[[nodiscard]] std::optional<std::uint64_t> parse_size(std::string_view text);
/// A share: `5%` or `0.05`; at least 0.
[[nodiscard]] std::optional<double> parse_share(std::string_view text);
[[nodiscard]] std::string text_of(Duration duration);

class Options {
public:
    Options(std::string program, std::string what_it_is);
    ~Options();
    Options(const Options&) = delete;
    Options& operator=(const Options&) = delete;

    // Each option: the variable holds the default and gets the value. Names with their dashes.
    void text(const std::string& name, std::string& value, const std::string& help);
    /// The same, and not empty: that would be a variable of a shell that is not set.
    void some_text(const std::string& name, std::string& value, const std::string& help);
    void choice(const std::string& name, std::string& value, const std::vector<std::string>& words,
                const std::string& help);
    void count(const std::string& name, std::uint64_t& value, std::uint64_t least, std::uint64_t most,
               const std::string& help);
    void count(const std::string& name, std::uint32_t& value, std::uint32_t least, std::uint32_t most,
               const std::string& help);
    void size(const std::string& name, std::uint64_t& value, std::uint64_t least, std::uint64_t most,
              const std::string& help);
    void duration(const std::string& name, Duration& value, Duration least, Duration most, const std::string& help);
    void flag(const std::string& name, bool& value, const std::string& help);
    /// A flag that was, and is taken still: nothing says it.
    void former_flag(const std::string& name, bool& value);
    /// With a letter beside its name: `-I TOKEN`. Any text but an empty one.
    void lettered(char letter, const std::string& name, std::string& value, const std::string& help);
    /// Numbers from 0 to 255, by commas.
    void exit_codes(const std::string& name, std::vector<int>& value, const std::string& help);
    /// A text that may be said several times, each of which is appended.
    void list(const std::string& name, std::vector<std::string>& values, const std::string& help);
    /// Any other value: `take` returns what is wrong with it, or nothing.
    void value(const std::string& name, const std::string& shown_default, const std::string& help,
               std::function<std::optional<std::string>(const std::string&)> take);
    /// COMMAND ARG... behind the first `--`: taken as it stands, byte for byte, and never parsed. A
    /// word before the `--` is refused, not taken for a command.
    void command(std::vector<std::string>& value, const std::string& help);
    /// Words between the options, as curfew-monitor has them. Not for what a user may write as he
    /// likes.
    void rest(std::vector<std::string>& value, const std::string& help);

    /// An exit code if the process is to end now (help, version, or an error, which has been
    /// printed); none to go on.
    [[nodiscard]] std::optional<int> parse(int argc, const char* const* argv);

    /// Said on the command line or in the --config, and not for all processes in the environment.
    [[nodiscard]] bool is_said_here(const std::string& name) const;
    /// --check was said: the process is to judge the rest of what was said, and to end.
    [[nodiscard]] bool only_checks() const;
    /// `program`, `version`, and `flags`, each with its `flag`, `kind` (text, list, choice, count,
    /// size, duration, switch, codes, value), `default` as --help shows it, `help`, and, where it
    /// has them, `least` and `most` (whole numbers, bytes, microseconds) or `words`.
    [[nodiscard]] JsonObject describe() const;
    /// What is left to do for a process that only checks, once nothing was found: its exit code.
    [[nodiscard]] int say_checked() const;

    /// Prints `program: message` and where help is, and returns the code for wrong usage.
    int refuse(const std::string& message) const;
    /// Prints `program: message` and returns the code: nothing in the help would change it.
    int fail(int code, const std::string& message) const;

private:
    [[nodiscard]] int refuse_stray(const std::string& word) const;
    template <typename Count>
    void add_count(const std::string& name, Count& value, Count least, Count most, const std::string& help);
    JsonObject& add(const std::string& name, std::string_view kind, const std::string& shown_default,
                    const std::string& help, std::function<std::optional<std::string>(const std::string&)> take);

    struct Inside;
    std::unique_ptr<Inside> inside_;
};

/// What was said is well formed, and cannot be: a file that is not there. Help would not help.
struct Unusable : std::runtime_error {
    Unusable(int exit_code, const std::string& message) : std::runtime_error(message), code(exit_code) {}
    int code;
};

}  // namespace curfew
