#include "monitor/top.h"

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#define NCURSES_NOMACROS 1
#include <ncurses.h>

#include <array>
#include <cerrno>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <deque>
#include <exception>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <thread>
#include <utility>

#include "common/process/clock.h"
#include "monitor/terminal.h"

namespace curfew {
namespace {

using namespace std::chrono_literals;

constexpr auto kTick = 50ms;   // between two looks at the keys
constexpr auto kLong = 400ms;  // a look that takes longer is said to
constexpr int kUnanswered = 2;
constexpr std::size_t kMostCancels = 16;

std::string time_of_day() {
    return fmt::format("{:%H:%M:%S}", fmt::localtime(std::time(nullptr)));
}

// ---- signals -----------------------------------------------------------------------------------

volatile sig_atomic_t last_signal = 0;

/// While it lives, the signals that would end the process are only noted.
class Signals {
public:
    Signals() {
        last_signal = 0;
        struct sigaction note {};
        note.sa_handler = [](int signal) { last_signal = signal; };
        for (std::size_t i = 0; i < kEnding.size(); ++i) sigaction(kEnding[i], &note, &before_[i]);
    }
    ~Signals() {
        for (std::size_t i = 0; i < kEnding.size(); ++i) sigaction(kEnding[i], &before_[i], nullptr);
    }
    Signals(const Signals&) = delete;
    Signals& operator=(const Signals&) = delete;

private:
    static constexpr std::array kEnding = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};
    std::array<struct sigaction, kEnding.size()> before_{};
};

// ---- the terminal ------------------------------------------------------------------------------

class Terminal {
public:
    explicit Terminal(bool color) {
        if (isatty(STDIN_FILENO) == 0 || isatty(STDOUT_FILENO) == 0)
            throw std::runtime_error("top needs a terminal; --once prints one screen anywhere");
        screen_ = newterm(nullptr, stdout, stdin);
        if (screen_ == nullptr) throw std::runtime_error("top does not know this terminal; see TERM, or use --once");
        cbreak();
        noecho();
        nonl();
        keypad(stdscr, TRUE);
        set_escdelay(25);
        curs_set(0);
        timeout(static_cast<int>(std::chrono::milliseconds(kTick).count()));
        if (color && has_colors()) set_colors();
    }
    ~Terminal() {
        endwin();
        delscreen(screen_);
    }
    Terminal(const Terminal&) = delete;
    Terminal& operator=(const Terminal&) = delete;

    void draw(TopScreen& screen) {
        erase();
        int y = 0;
        for (const Line& line : screen.draw(getmaxx(stdscr), getmaxy(stdscr))) {
            ::move(y++, 0);
            for (const Span& span : line) {
                attrset(static_cast<int>(attributes_[static_cast<std::size_t>(span.style)]));
                addstr(span.text.c_str());
            }
        }
        attrset(A_NORMAL);
        refresh();
    }

private:
    void set_colors() {
        start_color();
        use_default_colors();
        constexpr std::array<std::pair<Style, short>, 3> kColors = {
            {{Style::good, COLOR_GREEN}, {Style::warn, COLOR_YELLOW}, {Style::bad, COLOR_RED}}};
        short pair = 1;
        for (const auto& [style, color] : kColors) {
            init_pair(pair, color, -1);
            attributes_[static_cast<std::size_t>(style)] |= static_cast<attr_t>(COLOR_PAIR(pair));
            ++pair;
        }
    }

    SCREEN* screen_ = nullptr;
    /// By style; without colours what is bad is bold.
    std::array<attr_t, kStyles> attributes_ = {A_NORMAL, A_BOLD, A_DIM, A_NORMAL, A_NORMAL, A_BOLD, A_REVERSE};
};

/// What getch() gave, in our words.
std::pair<Key, char> key_of(int code) {
    constexpr std::array<std::pair<int, Key>, 14> kKeys = {{{KEY_UP, Key::up},
                                                            {KEY_DOWN, Key::down},
                                                            {KEY_PPAGE, Key::page_up},
                                                            {KEY_NPAGE, Key::page_down},
                                                            {KEY_HOME, Key::home},
                                                            {KEY_END, Key::end},
                                                            {KEY_BACKSPACE, Key::backspace},
                                                            {KEY_ENTER, Key::enter},
                                                            {'\t', Key::tab},
                                                            {'\r', Key::enter},
                                                            {'\n', Key::enter},
                                                            {0x1b, Key::escape},
                                                            {0x7f, Key::backspace},
                                                            {0x08, Key::backspace}}};
    for (const auto& [theirs, ours] : kKeys) {
        if (theirs == code) return {ours, 0};
    }
    if (code >= ' ' && code <= 0xff) return {Key::character, static_cast<char>(code)};
    return {Key::none, 0};
}

// ---- the thread that asks ----------------------------------------------------------------------

class Asker {
public:
    struct Answers {
        std::optional<Look> look;
        std::string said;  ///< of a cancel, or of a look that failed
    };

    Asker(const std::function<Look()>& look, const std::function<std::string(std::uint64_t)>& cancel)
        : look_(look), cancel_(cancel), thread_([this] { run(); }) {}
    ~Asker() {
        {
            const std::scoped_lock lock(mutex_);
            closing_ = true;
        }
        wake_.notify_one();
        thread_.join();
    }
    Asker(const Asker&) = delete;
    Asker& operator=(const Asker&) = delete;

    void want_look() {
        {
            const std::scoped_lock lock(mutex_);
            looking_ = true;
        }
        wake_.notify_one();
    }
    /// False: too many wait already.
    [[nodiscard]] bool want_cancel(std::uint64_t seq) {
        {
            const std::scoped_lock lock(mutex_);
            if (cancels_.size() >= kMostCancels) return false;
            cancels_.push_back(seq);
        }
        wake_.notify_one();
        return true;
    }
    [[nodiscard]] Answers take() {
        const std::scoped_lock lock(mutex_);
        return std::exchange(answers_, {});
    }

private:
    void run() {
        std::unique_lock lock(mutex_);
        for (;;) {
            wake_.wait(lock, [&] { return closing_ || looking_ || !cancels_.empty(); });
            if (closing_) return;
            if (!cancels_.empty()) {
                const std::uint64_t seq = cancels_.front();
                cancels_.pop_front();
                lock.unlock();
                std::string said = ask_to_cancel(seq);
                lock.lock();
                answers_.said = std::move(said);
            } else {
                looking_ = false;
                lock.unlock();
                Answers answers = ask_for_look();
                lock.lock();
                answers_.look = std::move(answers.look);
                if (!answers.said.empty()) answers_.said = std::move(answers.said);
            }
        }
    }
    std::string ask_to_cancel(std::uint64_t seq) {
        try {
            return cancel_(seq);
        } catch (const std::exception& error) {
            return fmt::format("task {}: {}", seq, error.what());
        }
    }
    Answers ask_for_look() {
        try {
            return {look_(), ""};
        } catch (const std::exception& error) {
            return {Look{}, error.what()};
        }
    }

    const std::function<Look()>& look_;
    const std::function<std::string(std::uint64_t)>& cancel_;
    std::mutex mutex_;
    std::condition_variable wake_;
    bool closing_ = false, looking_ = false;
    std::deque<std::uint64_t> cancels_;
    Answers answers_;
    std::thread thread_;
};

// ---- the loop ----------------------------------------------------------------------------------

class Top {
public:
    Top(const TopOptions& options, bool utf8, Asker& asker, Terminal& terminal)
        : screen_(utf8, options.every, options.group), asker_(asker), terminal_(terminal) {}

    int run() {
        while (last_signal == 0) {
            const bool answered = take_answers();
            if (ask_in_time() || answered) terminal_.draw(screen_);
            const int code = getch();
            if (code == ERR && isatty(STDIN_FILENO) == 0) return 0;  // the terminal went away
            if (code == ERR) continue;
            if (code != KEY_RESIZE && !press(code)) return 0;
            terminal_.draw(screen_);
        }
        return 128 + last_signal;
    }

private:
    /// True if there is something new to see.
    bool take_answers() {
        Asker::Answers answers = asker_.take();
        if (answers.look) {
            asked_at_.reset();
            screen_.add(*answers.look, Clock::now(), time_of_day());
        }
        if (!answers.said.empty()) screen_.say(answers.said);
        return answers.look || !answers.said.empty();
    }

    bool ask_in_time() {
        const Instant now = Clock::now();
        const bool due = !screen_.paused() && (!last_asked_ || now >= *last_asked_ + screen_.every());
        if (!asked_at_ && due) {
            asked_at_ = last_asked_ = now;
            asker_.want_look();
        }
        const bool slow = asked_at_ && now - *asked_at_ > kLong;
        screen_.asking(slow);
        return std::exchange(slow_, slow) != slow || !std::exchange(drawn_, true);
    }

    /// False: to leave.
    bool press(int code) {
        const auto [key, typed] = key_of(code);
        const Wish wish = screen_.press(key, typed);
        if (wish.cancel && !asker_.want_cancel(*wish.cancel)) screen_.say("too many tasks wait to be cancelled");
        return !wish.quit;
    }

    TopScreen screen_;
    Asker& asker_;
    Terminal& terminal_;
    std::optional<Instant> asked_at_, last_asked_;
    bool slow_ = false, drawn_ = false;
};

int once(const std::function<Look()>& look, const std::string& group, bool utf8) {
    TopScreen screen(utf8, 1s, group);
    screen.add(look(), Clock::now(), time_of_day());
    for (const Line& line : screen.draw_once(columns_of_terminal())) {
        std::string text = plain_text(line);
        text.erase(text.find_last_not_of(' ') + 1);
        fmt::print("{}\n", text);
    }
    std::fflush(stdout);
    return screen.broker_answers() ? 0 : kUnanswered;
}

}  // namespace

int run_top(const TopOptions& options, const std::function<Look()>& look,
            const std::function<std::string(std::uint64_t)>& cancel) {
    const bool utf8 = locale_is_utf8();
    if (options.once) return once(look, options.group, utf8);
    const char* no_color = std::getenv("NO_COLOR");
    const bool color = options.color && (no_color == nullptr || *no_color == '\0');
    // The terminal comes back first, then the thread that asks is waited for.
    Asker asker(look, cancel);
    Terminal terminal(color);
    const Signals signals;
    return Top(options, utf8, asker, terminal).run();
}

}  // namespace curfew
