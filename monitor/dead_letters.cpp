#include "monitor/dead_letters.h"

#include <fmt/format.h>

#include <cerrno>
#include <cstdio>
#include <map>
#include <set>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "common/process/options.h"
#include "common/tables/interval_set.h"
#include "common/words/exit_code.h"
#include "monitor/letter_file.h"
#include "monitor/letter_view.h"
#include "monitor/terminal.h"
#include "monitor/terminal_text.h"

namespace curfew {
namespace {

constexpr std::size_t kMostSaid = 10;  // messages of one kind that are named

void put(std::string_view bytes) {
    if (fwrite(bytes.data(), 1, bytes.size(), stdout) != bytes.size())
        throw std::system_error(errno, std::generic_category(), "stdout");
}

void put_out() {
    if (fflush(stdout) != 0) throw std::system_error(errno, std::generic_category(), "stdout");
}

void say(const std::string& text) {
    fmt::print(stderr, "curfew-monitor: {}\n", text);
}

std::string shown_name(const std::string& file) {
    return file == "-" ? "stdin" : clean(file, locale_is_utf8());
}

/// True if each line was an outcome.
bool say_left_out(const LetterFile& letters, const std::string& name) {
    const LetterFile::LeftOut& left_out = letters.left_out();
    if (left_out.lines > 0)
        say(fmt::format("{} of {} {} no outcome, and left out; the first is line {}",
                        left_out.lines == 1 ? "1 line" : fmt::format("{} lines", left_out.lines), name,
                        left_out.lines == 1 ? "is" : "are", left_out.first));
    if (left_out.torn)
        say(fmt::format("the last line of {} has no end, and is left out: it was torn, or is being written", name));
    return left_out.lines == 0 && !left_out.torn;
}

// ---- ls, show ----------------------------------------------------------------------------------

int list(const MonitorOptions& options, const std::string& file) {
    LetterFile letters(file);
    const bool utf8 = locale_is_utf8();
    LetterCounts counts;
    std::vector<Table::Row> rows;
    while (letters.next()) {
        counts.add(letters.letter());
        if (counts.all() > options.limit) continue;
        if (options.as_json) {
            put(letters.line()), put("\n");
        } else {
            rows.push_back(letter_row(letters.letter(), utf8));
        }
    }
    const int width = columns_of_terminal();
    if (!rows.empty()) {
        Table table(letter_columns(), 0);
        const int shown = static_cast<int>(rows.size());
        table.fill(std::move(rows));
        for (const Line& line : table.draw(width, shown, false)) {
            std::string text = plain_text(line);
            text.erase(text.find_last_not_of(' ') + 1);
            put(text + "\n");
        }
    }
    if (counts.all() > options.limit) say(fmt::format("the first {} are listed (--limit)", options.limit));
    if (!options.as_json) put(counts.line(width, utf8) + "\n");
    put_out();
    return say_left_out(letters, shown_name(file)) ? kExitOk : kExitIncomplete;
}

int show(const std::string& file, Seq seq) {
    LetterFile letters(file);
    const bool utf8 = locale_is_utf8();
    bool found = false;
    while (letters.next()) {
        if (letters.letter().seq != seq) continue;
        if (std::exchange(found, true)) put("\n");
        put(letter_text(letters.letter(), utf8));
    }
    put_out();
    const std::string name = shown_name(file);
    if (!found) say(fmt::format("{} has no letter of message {}: ls says which there are", name, seq));
    return say_left_out(letters, name) && found ? kExitOk : kExitIncomplete;
}

// ---- retry -------------------------------------------------------------------------------------

/// Gives messages out, each task's once. Where they are lines, or some are named, it looks at the
/// whole file before it gives out the first: what cannot be done is refused before anybody works on
/// a half of it.
class Retry {
public:
    Retry(const std::string& file, std::vector<Seq> wanted, char separator)
        : name_(shown_name(file)), wanted_(wanted.begin(), wanted.end()), letters_(file), separator_(separator) {}

    int run() {
        if (separator_ == '\n' || !wanted_.empty()) {
            if (!letters_.can_begin_again())
                throw Unusable(kExitUsage,
                               fmt::format("dead-letters: {} is no file, and cannot be looked at before messages "
                                           "are given out: name the file, or say --null and no numbers",
                                           name_));
            look();
            letters_.begin_again();
            given_.clear();
        }
        give();
        return say_left_out(letters_, name_) && cut_ == 0 ? kExitOk : kExitIncomplete;
    }

private:
    /// Goes to the next letter whose message is to be given out.
    bool next() {
        while (letters_.next()) {
            const Letter& letter = letters_.letter();
            if (!wanted_.empty() && !wanted_.contains(letter.seq)) continue;
            // Without an epoch nobody can say whether it is the same task
            if (letter.epoch == 0 || given_[letter.epoch].insert(letter.seq)) return true;
        }
        return false;
    }

    void look() {
        std::set<Seq> missing = wanted_;
        while (next()) {
            const Letter& letter = letters_.letter();
            missing.erase(letter.seq);
            check_separator(letter);
        }
        if (!missing.empty())
            throw Unusable(kExitIncomplete,
                           fmt::format("dead-letters: {} has no letter of message {}: nothing was given out", name_,
                                       *missing.begin()));
    }

    void check_separator(const Letter& letter) const {
        if (letter.is_cut() || letter.message.find(separator_) == std::string::npos) return;
        const char* why = separator_ == '\n' ? "a newline, and would be several lines: say --null here and at launch"
                                             : "a NUL byte, and would be several messages: name the others";
        throw Unusable(kExitUsage,
                       fmt::format("dead-letters: message {} of {} has {}; {}", letter.seq, name_, why,
                                   separator_ == '\n' || !wanted_.empty() ? "nothing was given out"
                                                                          : "those before it were given out"));
    }

    void give() {
        while (next()) {
            const Letter& letter = letters_.letter();
            if (letter.is_cut()) {
                say_cut(letter);
                continue;
            }
            check_separator(letter);
            put(letter.message);
            put(std::string_view(&separator_, 1));
        }
        put_out();
        if (cut_ > kMostSaid) say(fmt::format("{} more such messages", cut_ - kMostSaid));
    }

    void say_cut(const Letter& letter) {
        if (++cut_ > kMostSaid) return;
        say(fmt::format(
            "message {} is not given out: it has {} bytes, was refused for that, and its letter has the first {}; it "
            "is {}",
            letter.seq, letter.refused->size, letter.message.size(), place_of(*letter.refused)));
    }

    const std::string name_;
    const std::set<Seq> wanted_;  // empty: all
    LetterFile letters_;
    const char separator_;
    std::map<Epoch, IntervalSet> given_;
    std::uint64_t cut_ = 0;
};

}  // namespace

int dead_letters(const MonitorOptions& options) {
    const std::string &verb = options.words[1], &file = options.words[2];
    std::vector<Seq> seqs;
    for (std::size_t i = 3; i < options.words.size(); ++i) seqs.push_back(parse_count(options.words[i]).value());
    try {
        if (verb == "ls") return list(options, file);
        if (verb == "show") return show(file, seqs.front());
        return Retry(file, std::move(seqs), options.null ? '\0' : '\n').run();
    } catch (const std::system_error& error) {
        throw Unusable(kExitIo, fmt::format("dead-letters: {}", error.what()));
    }
}

}  // namespace curfew
