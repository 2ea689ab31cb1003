#include "common/process/options.h"

#include <fmt/format.h>
#include <CLI/CLI.hpp>
#include <algorithm>
#include <charconv>
#include <cstdio>
#include <cstdlib>

#include "common/process/suggestion.h"
#include "common/version.h"
#include "common/words/exit_code.h"

namespace curfew {
namespace {

std::string environment_name(const std::string& flag) {
    std::string name = "CURFEW_";
    for (const char c : flag.substr(2))
        name += c == '-' ? '_' : static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
    return name;
}

}  // namespace

// ---- values ------------------------------------------------------------------------------------

std::optional<std::uint64_t> parse_count(std::string_view text) {
    if (text.empty() || (text.size() > 1 && text.front() == '0')) return std::nullopt;
    std::uint64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
    return value;
}

namespace {

/// A decimal number of at most nine digits before the point, as units of 10^-6; moves `text` behind
/// it.
std::optional<std::uint64_t> parse_millionths(std::string_view& text) {
    std::size_t digits = 0;
    while (digits < text.size() && text[digits] >= '0' && text[digits] <= '9') ++digits;
    const auto whole = parse_count(text.substr(0, digits));
    if (!whole || *whole > 1'000'000'000) return std::nullopt;
    text.remove_prefix(digits);
    std::uint64_t millionths = *whole * 1'000'000;
    if (text.empty() || text.front() != '.') return millionths;
    text.remove_prefix(1);
    std::uint64_t scale = 100'000;
    if (text.empty() || text.front() < '0' || text.front() > '9') return std::nullopt;
    for (; !text.empty() && text.front() >= '0' && text.front() <= '9'; text.remove_prefix(1), scale /= 10) {
        millionths += static_cast<std::uint64_t>(text.front() - '0') * scale;
    }
    return millionths;
}

}  // namespace

std::optional<Duration> parse_duration(std::string_view text) {
    if (text == "0") return Duration::zero();
    const auto millionths = parse_millionths(text);
    if (!millionths) return std::nullopt;
    std::uint64_t unit_ns = 0;
    if (text == "us") unit_ns = 1'000;
    if (text == "ms") unit_ns = 1'000'000;
    if (text == "s") unit_ns = 1'000'000'000;
    if (text == "m") unit_ns = 60'000'000'000;
    if (text == "h") unit_ns = 3'600'000'000'000;
    if (unit_ns == 0) return std::nullopt;
    const double ns = static_cast<double>(*millionths) * static_cast<double>(unit_ns) / 1e6;
    if (ns > 1e18) return std::nullopt;
    return std::chrono::nanoseconds(static_cast<std::int64_t>(ns));
}

std::optional<std::uint64_t> parse_size(std::string_view text) {
    std::uint64_t unit = 1;
    if (!text.empty()) {
        switch (text.back()) {
            case 'k':
            case 'K': unit = 1ULL << 10; break;
            case 'm':
            case 'M': unit = 1ULL << 20; break;
            case 'g':
            case 'G': unit = 1ULL << 30; break;
            default: break;
        }
    }
    if (unit != 1) text.remove_suffix(1);
    const auto count = parse_count(text);
    if (!count || *count > (1ULL << 50) / unit) return std::nullopt;
    return *count * unit;
}

std::optional<double> parse_share(std::string_view text) {
    const bool percent = !text.empty() && text.back() == '%';
    if (percent) text.remove_suffix(1);
    const auto millionths = parse_millionths(text);
    if (!millionths || !text.empty()) return std::nullopt;
    return static_cast<double>(*millionths) / 1e6 / (percent ? 100.0 : 1.0);
}

std::string text_of(Duration duration) {
    const auto us = std::chrono::duration_cast<std::chrono::microseconds>(duration).count();
    if (us % 1'000'000 == 0) return fmt::format("{}s", us / 1'000'000);
    if (us % 1'000 == 0) return fmt::format("{}ms", us / 1'000);
    return fmt::format("{}us", us);
}

// ---- options -----------------------------------------------------------------------------------

namespace {

std::vector<std::string> flags_of(const CLI::App& app) {
    std::vector<std::string> names;
    for (const CLI::Option* option : app.get_options()) {
        for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
    }
    return names;
}

/// Lines of `flag = value`, of flags that there are.
class ConfigFile : public CLI::ConfigINI {
public:
    explicit ConfigFile(const CLI::App& app) : app_(app) {}

    std::vector<CLI::ConfigItem> from_config(std::istream& lines) const override {
        auto found = CLI::ConfigINI::from_config(lines);
        for (const CLI::ConfigItem& item : found) {
            if (!item.parents.empty() || app_.get_option_no_throw("--" + item.name) != nullptr) continue;
            throw CLI::ConfigError(
                fmt::format("--config: there is no flag '{}'{}", item.name, did_you_mean(item.name, flags_of(app_))));
        }
        return found;
    }

private:
    const CLI::App& app_;
};

}  // namespace

struct Options::Inside {
    std::string program;
    CLI::App app;
    bool only_checks = false;
    std::string config;
    std::vector<std::string>* command = nullptr;  // what stands behind `--` goes there
    std::vector<std::string> stray;               // words before it
    std::vector<JsonObject> described;            // the flags

    Inside(std::string name, std::string what) : program(std::move(name)), app(std::move(what), program) {
        app.add_flag("--check", only_checks, "Check the command line and the --config, say what is wrong, and end")
            ->configurable(false);
        app.set_version_flag("--version", program + " " + kVersionText);
        app.set_config("--config", "", "Lines of `flag = value`; unknown flags are errors")->type_name("FILE");
        app.allow_config_extras(CLI::config_extras_mode::error);
        app.config_formatter(std::make_shared<ConfigFile>(app));
        app.get_formatter()->column_width(34);
    }

    JsonObject& describe(std::string_view name, std::string_view kind, std::string_view shown, std::string_view help) {
        return described.emplace_back()
            .add("flag", name)
            .add("kind", kind)
            .add("default", if_any(shown))
            .add("help", help);
    }

    /// What is wrong with a word that no flag takes.
    [[nodiscard]] std::string unknown(const std::string& word) const {
        if (!word.starts_with('-')) return fmt::format("unexpected word '{}'", word);
        return fmt::format("unknown option {}{}", word, did_you_mean(word, flags_of(app)));
    }
};

Options::Options(std::string program, std::string what_it_is)
    : inside_(std::make_unique<Inside>(std::move(program), std::move(what_it_is))) {}
Options::~Options() = default;

void Options::value(const std::string& name, const std::string& shown_default, const std::string& help,
                    std::function<std::optional<std::string>(const std::string&)> take) {
    add(name, "value", shown_default, help, std::move(take));
}

JsonObject& Options::add(const std::string& name, std::string_view kind, const std::string& shown_default,
                         const std::string& help, std::function<std::optional<std::string>(const std::string&)> take) {
    auto* option = inside_->app.add_option_function<std::string>(
        name,
        [name, take = std::move(take)](const std::string& text) {
            if (const auto wrong = take(text)) throw CLI::ValidationError(name, *wrong);
        },
        help);
    option->envname(environment_name(name));
    if (!shown_default.empty()) option->default_str(shown_default);
    return inside_->describe(name, kind, shown_default, help);
}

void Options::text(const std::string& name, std::string& value, const std::string& help) {
    add(name, "text", value, help, [&value](const std::string& text) {
        value = text;
        return std::optional<std::string>();
    });
}

void Options::some_text(const std::string& name, std::string& value, const std::string& help) {
    add(name, "text", value, help, [&value](const std::string& text) -> std::optional<std::string> {
        if (text.empty()) return "is empty";
        value = text;
        return std::nullopt;
    });
}

void Options::list(const std::string& name, std::vector<std::string>& values, const std::string& help) {
    auto* option = inside_->app.add_option_function<std::vector<std::string>>(
        name, [&values](const std::vector<std::string>& texts) { values = texts; }, help);
    option->allow_extra_args(false)->envname(environment_name(name))->type_name("TEXT");
    inside_->describe(name, "list", "", help);
}

void Options::choice(const std::string& name, std::string& value, const std::vector<std::string>& words,
                     const std::string& help) {
    add(name, "choice", value, help, [&value, words](const std::string& text) -> std::optional<std::string> {
        if (std::find(words.begin(), words.end(), text) == words.end()) {
            return fmt::format("'{}' is not one of: {}{}", text, CLI::detail::join(words, ", "),
                               did_you_mean(text, words));
        }
        value = text;
        return std::nullopt;
    }).add("words", words);
}

void Options::count(const std::string& name, std::uint64_t& value, std::uint64_t least, std::uint64_t most,
                    const std::string& help) {
    add_count(name, value, least, most, help);
}

void Options::count(const std::string& name, std::uint32_t& value, std::uint32_t least, std::uint32_t most,
                    const std::string& help) {
    add_count(name, value, least, most, help);
}

template <typename Count>
void Options::add_count(const std::string& name, Count& value, Count least, Count most, const std::string& help) {
    add(name, "count", std::to_string(value), help,
        [&value, least, most](const std::string& text) -> std::optional<std::string> {
            const auto count = parse_count(text);
            if (!count || *count < least || *count > most) {
                return fmt::format("'{}' is not a whole number from {} to {} (decimal, no leading zero)", text, least,
                                   most);
            }
            value = static_cast<Count>(*count);
            return std::nullopt;
        })
        .add("least", least)
        .add("most", most);
}

void Options::size(const std::string& name, std::uint64_t& value, std::uint64_t least, std::uint64_t most,
                   const std::string& help) {
    add(name, "size", std::to_string(value), help,
        [&value, least, most](const std::string& text) -> std::optional<std::string> {
            const auto size = parse_size(text);
            if (!size || *size < least || *size > most) {
                return fmt::format("'{}' is not a size from {} to {} bytes (like 4096, 64k or 1m)", text, least, most);
            }
            value = *size;
            return std::nullopt;
        })
        .add("least", least)
        .add("most", most);
}

void Options::duration(const std::string& name, Duration& value, Duration least, Duration most,
                       const std::string& help) {
    const auto micros = [](Duration of) { return std::chrono::duration_cast<std::chrono::microseconds>(of).count(); };
    add(name, "duration", text_of(value), help,
        [&value, least, most](const std::string& text) -> std::optional<std::string> {
            const auto duration = parse_duration(text);
            if (!duration || *duration < least || *duration > most) {
                return fmt::format("'{}' is not a duration from {} to {} (like 20ms, 1.5s or 2m)", text, text_of(least),
                                   text_of(most));
            }
            value = *duration;
            return std::nullopt;
        })
        .add("least", micros(least))
        .add("most", micros(most));
}

void Options::flag(const std::string& name, bool& value, const std::string& help) {
    inside_->app.add_flag(name, value, help)->envname(environment_name(name));
    inside_->describe(name, "switch", "", help);
}

void Options::former_flag(const std::string& name, bool& value) {
    inside_->app.add_flag(name, value)->group("");
}

void Options::exit_codes(const std::string& name, std::vector<int>& value, const std::string& help) {
    std::string shown;
    for (const int code : value) shown += (shown.empty() ? "" : ",") + std::to_string(code);
    add(name, "codes", shown, help, [&value](const std::string& text) -> std::optional<std::string> {
        std::vector<int> codes;
        // A word behind each comma, also behind the last.
        for (const std::string& word : CLI::detail::split(text.ends_with(',') ? text + "?" : text, ',')) {
            const auto code = parse_count(word);
            if (!code || *code > 255)
                return fmt::format("'{}' is not a list of exit codes from 0 to 255, like 0,10,20", text);
            codes.push_back(static_cast<int>(*code));
        }
        value = codes;
        return std::nullopt;
    });
}

void Options::lettered(char letter, const std::string& name, std::string& value, const std::string& help) {
    auto* option = inside_->app.add_option_function<std::string>(
        std::string{'-', letter, ','} + name,
        [name, &value](const std::string& text) {
            if (text.empty()) throw CLI::ValidationError(name, "is empty");
            value = text;
        },
        help);
    option->envname(environment_name(name))->default_str(value);
    inside_->describe(name, "text", value, help);
}

/// CLI11 takes an argument in brackets for a list, so it never sees a COMMAND. What it knows of it
/// is for the help, and to find words that stand where none may.
void Options::command(std::vector<std::string>& value, const std::string& help) {
    inside_->command = &value;
    auto* stray = inside_->app.add_option("command", inside_->stray, help)->type_name("COMMAND ARG...");
    stray->allow_extra_args(false);  // `[]` is a word too
}

void Options::rest(std::vector<std::string>& value, const std::string& help) {
    inside_->app.add_option("command", value, help)->type_name("COMMAND ARG...");
}

std::optional<int> Options::parse(int argc, const char* const* argv) {
    int own = argc;
    if (inside_->command != nullptr && argc > 1) {
        own = static_cast<int>(std::find(argv + 1, argv + argc, std::string_view("--")) - argv);
        if (own < argc) inside_->command->assign(argv + own + 1, argv + argc);
    }
    try {
        inside_->app.parse(own, argv);
    } catch (const CLI::Success& success) {
        return inside_->app.exit(success);
    } catch (const CLI::ExtrasError&) {
        const std::string word = inside_->app.remaining().front();
        if (inside_->command == nullptr || word.starts_with('-')) return refuse(inside_->unknown(word));
        return refuse_stray(word);
    } catch (const CLI::ParseError& error) {
        const auto is_flag = [](const std::string& word) { return word.starts_with('-'); };
        const bool only_words = std::ranges::none_of(inside_->app.remaining(), is_flag);
        if (inside_->stray.empty() || !only_words) return refuse(error.what());
    }
    return inside_->stray.empty() ? std::nullopt : std::optional(refuse_stray(inside_->stray.front()));
}

int Options::refuse_stray(const std::string& word) const {
    return refuse(fmt::format("'{}' stands where no word may; a COMMAND goes behind --: {} [OPTIONS] -- COMMAND ARG...",
                              word, inside_->program));
}

bool Options::is_said_here(const std::string& name) const {
    const char* of_all = std::getenv(environment_name(name).c_str());
    return inside_->app.count(name) > 0 && (of_all == nullptr || *of_all == '\0');
}

bool Options::only_checks() const {
    return inside_->only_checks;
}

JsonObject Options::describe() const {
    JsonObject out;
    out.add("program", inside_->program).add("version", kVersionText).add("flags", inside_->described);
    return out;
}

int Options::say_checked() const {
    std::printf("%s\n", describe().text().c_str());
    return kExitOk;
}

int Options::refuse(const std::string& message) const {
    fail(kExitUsage, message);
    std::fprintf(stderr, "Try '%s --help'.\n", inside_->program.c_str());
    return kExitUsage;
}

int Options::fail(int code, const std::string& message) const {
    std::fprintf(stderr, "%s: %s\n", inside_->program.c_str(), message.c_str());
    return code;
}

}  // namespace curfew
