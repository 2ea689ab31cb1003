// What a sink finds of its life before, which was killed: torn lines are cut off or ended, and what
// was settled stays whole.
#include "collector/sinks/descriptor.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <limits.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <functional>
#include <string>
#include <system_error>
#include <vector>

#include "tests/support/sink_bench.h"
#include "tests/support/temp_dir.h"

namespace curfew {
namespace {

using namespace std::chrono_literals;
using support::completed;
using support::flush;
using support::kStart;
using support::Pipe;
using support::SinkTest;
using support::TempDir;
using Written = Sink::Written;

// ---- a life after a kill -----------------------------------------------------------------------

/// A sink whose lives end by SIGKILL. Each life is a process of its own; what it shares with the
/// next is the descriptor, as with a collector that launch has started, and the page of its mark.
class SinkLives : public SinkTest {
protected:
    /// `body` is killed at its end.
    void life(int descriptor, const std::function<void(DescriptorSink&)>& body) { run(descriptor, true, body); }
    /// One that ends in an orderly way.
    void last_life(int descriptor, const std::function<void(DescriptorSink&)>& body) { run(descriptor, false, body); }

    void run(int descriptor, bool killed, const std::function<void(DescriptorSink&)>& body) {
        const pid_t child = fork();
        ASSERT_GE(child, 0);
        if (child == 0) {
            dup2(log_, STDERR_FILENO);
            {
                DescriptorSink sink(place(descriptor), append_raw);
                body(sink);
                if (HasFailure()) _exit(1);
                if (killed) raise(SIGKILL);
            }
            _exit(0);
        }
        int status = 0;
        ASSERT_EQ(waitpid(child, &status, 0), child);
        ASSERT_EQ(killed, WIFSIGNALED(status)) << said();
        ASSERT_TRUE(killed || status == 0) << said();
    }

    [[nodiscard]] DescriptorSink::Place place(int descriptor) const {
        return {.descriptor = dup(descriptor), .name = "out", .mark = dir_.file("sink.mark")};
    }

    /// Puts one outcome, and writes the first `bytes` of its line into a pipe that is read here.
    void torn_in(Pipe& pipe, int writer, std::size_t large) {
        life(writer, [&](DescriptorSink& sink) {
            sink.put(completed(7, std::string(large, 'x')));
            EXPECT_TRUE(flush(sink).empty());
        });
        EXPECT_NE(pipe.take().find('x'), std::string::npos);
    }

    void the_next_writes(int descriptor, std::string_view text) {
        last_life(descriptor, [&](DescriptorSink& sink) {
            sink.put(completed(7, text));
            EXPECT_EQ(flush(sink), std::vector<Seq>{7});
        });
    }

    /// A write of the last life, killed before the store that follows it; `written`: it has taken
    /// place.
    void killed_in_write(int descriptor, std::size_t size, bool whole, bool written) {
        SinkMark mark(dir_.file("sink.mark"));
        (void)mark.begin(descriptor, "out", SinkMark::WithoutWord::leave);
        mark.before_write(size, whole);
        const std::string bytes(written ? size : 0, 'x');
        EXPECT_EQ(write(descriptor, bytes.data(), bytes.size()), static_cast<ssize_t>(bytes.size()));
    }

    [[nodiscard]] std::string said() const { return dir_.read("log"); }

    const TempDir dir_;
    int log_ = open(dir_.file("log").c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    ~SinkLives() override { close(log_); }
};
using ASinkInItsNextLife = SinkLives;

constexpr std::size_t kLarge = 2 << 20;

TEST_F(ASinkInItsNextLife, EndsATornLineInAPipeWithANewlineAndSaysSo) {
    Pipe pipe;
    const int writer = pipe.give_writer();
    torn_in(pipe, writer, kLarge);
    the_next_writes(writer, "whole");
    EXPECT_EQ(pipe.take(), "\nwhole\n");
    EXPECT_NE(said().find("torn_line_ended sink=\"out\""), std::string::npos) << said();
    the_next_writes(writer, "again");
    EXPECT_EQ(pipe.take(), "again\n") << "once";
    close(writer);
}

TEST_F(ASinkInItsNextLife, StillOwesTheNewlineIfTheOneBetweenCouldNotWriteIt) {
    Pipe pipe;
    const int writer = pipe.give_writer();
    life(writer, [&](DescriptorSink& sink) {
        sink.put(completed(7, std::string(kLarge, 'x')));
        flush(sink);
    });
    // The pipe is full
    life(writer, [](DescriptorSink& sink) { EXPECT_TRUE(flush(sink).empty()); });
    EXPECT_EQ(pipe.take().find('\n'), std::string::npos);
    the_next_writes(writer, "whole");
    EXPECT_EQ(pipe.take(), "\nwhole\n");
    close(writer);
}

TEST_F(ASinkInItsNextLife, WritesNoNewlineWhereNothingWasTorn) {
    Pipe pipe;
    const int writer = pipe.give_writer();
    for (int i = 0; i < 3; ++i) {
        life(writer, [](DescriptorSink& sink) {
            sink.put(completed(1, "one"));
            sink.put(completed(2, "two\nlines"));
            sink.put(completed(3, std::string(30'000, 'x')));
            sink.put(completed(4, ""));
            EXPECT_EQ(flush(sink).size(), 4U);
        });
        EXPECT_EQ(pipe.take(), "one\ntwo\nlines\n" + std::string(30'000, 'x') + "\n\n");
    }
    EXPECT_EQ(said(), "");
    close(writer);
}

TEST_F(ASinkInItsNextLife, KnowsThatAPipeTakesUpToPipeBufWholeOrNotAtAll) {
    for (const bool written : {false, true}) {
        Pipe pipe;
        const int writer = pipe.give_writer();
        killed_in_write(writer, PIPE_BUF, true, written);
        (void)pipe.take();
        the_next_writes(writer, "next");
        EXPECT_EQ(pipe.take(), "next\n");
        close(writer);
    }
}

TEST_F(ASinkInItsNextLife, RatherWritesAnEmptyLineThanToFuseTwo) {
    for (const bool written : {false, true}) {  // who was killed there cannot say which
        Pipe pipe;
        const int writer = pipe.give_writer();
        killed_in_write(writer, PIPE_BUF, false, written);
        (void)pipe.take();
        the_next_writes(writer, "next");
        EXPECT_EQ(pipe.take(), "\nnext\n");
        close(writer);
    }
}

TEST_F(ASinkInItsNextLife, EndsATornLineInASocket) {
    int ends[2] = {-1, -1};
    ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    life(ends[0], [](DescriptorSink& sink) {
        sink.put(completed(7, std::string(kLarge, 'x')));
        EXPECT_TRUE(flush(sink).empty());
    });
    std::string bytes(4 << 20, '\0');
    ASSERT_GT(recv(ends[1], bytes.data(), bytes.size(), MSG_DONTWAIT), 0);
    while (recv(ends[1], bytes.data(), bytes.size(), MSG_DONTWAIT) > 0) continue;
    the_next_writes(ends[0], "whole");
    bytes.resize(static_cast<std::size_t>(recv(ends[1], bytes.data(), bytes.size(), MSG_DONTWAIT)));
    EXPECT_EQ(bytes, "\nwhole\n");
    close(ends[0]);
    close(ends[1]);
}

TEST_F(ASinkInItsNextLife, TakesNoWordThatIsAboutAnotherSink) {
    Pipe pipe, other;
    const int writer = pipe.give_writer(), other_writer = other.give_writer();
    torn_in(pipe, writer, kLarge);
    the_next_writes(other_writer, "elsewhere");
    EXPECT_EQ(other.take(), "elsewhere\n");
    close(writer);
    close(other_writer);
}

TEST_F(ASinkInItsNextLife, AnOrderlyEndLeavesNoTornLineInAPipeThatTakesANewline) {
    Pipe pipe;
    const int writer = pipe.give_writer();
    last_life(writer, [&](DescriptorSink& sink) {
        sink.put(completed(7, std::string(kLarge, 'x')));
        EXPECT_TRUE(flush(sink).empty());
        (void)pipe.take();  // it goes on when it is too late
    });
    EXPECT_EQ(pipe.take(), "\n");
    the_next_writes(writer, "next");
    EXPECT_EQ(pipe.take(), "next\n");
    close(writer);
}

/// The ways in which a shell opens a file for a command.
struct Opened {
    const char* way;
    int flags;
};
class ASinkFileInItsNextLife : public SinkLives, public testing::WithParamInterface<Opened> {
protected:
    /// As after `printf 'before\n' > out`.
    int open_out() {
        dir_.write("out", "before\n");
        const int out = open(dir_.file("out").c_str(), GetParam().flags | O_CLOEXEC);
        EXPECT_GE(out, 0);
        if ((GetParam().flags & O_APPEND) == 0) lseek(out, 0, SEEK_END);
        return out;
    }
    /// A life that was killed when 100 of the bytes of its second outcome were in the file.
    void tear(int out) {
        life(out, [](DescriptorSink& sink) {
            sink.put(completed(1, "one"));
            EXPECT_EQ(flush(sink), std::vector<Seq>{1});
        });
        killed_in_write(out, 100, false, true);
    }
};
INSTANTIATE_TEST_SUITE_P(Opened, ASinkFileInItsNextLife,
                         testing::Values(Opened{"Written", O_WRONLY}, Opened{"WrittenAndRead", O_RDWR},
                                         Opened{"Appended", O_WRONLY | O_APPEND},
                                         Opened{"AppendedAndRead", O_RDWR | O_APPEND}),
                         [](const auto& tested) { return tested.param.way; });

TEST_P(ASinkFileInItsNextLife, CutsATornLineOffAndSaysSo) {
    const int out = open_out();
    tear(out);
    EXPECT_EQ(dir_.read("out"), "before\none\n" + std::string(100, 'x'));
    the_next_writes(out, "whole");
    EXPECT_EQ(dir_.read("out"), "before\none\nwhole\n") << "without a hole";
    EXPECT_NE(said().find("torn_line_dropped sink=\"out\" bytes=100"), std::string::npos) << said();
    close(out);
}

TEST_P(ASinkFileInItsNextLife, CutsWhatAKillInTheMiddleOfALongLineHasLeft) {
    const int out = open_out();
    rlimit before{};
    getrlimit(RLIMIT_FSIZE, &before);
    life(out, [&](DescriptorSink& sink) {
        sink.put(completed(1, "one"));
        sink.put(completed(2, std::string(3 << 20, 'x')));
        // This life only: as a disk that is full from there on
        const rlimit small{2'000'000, before.rlim_max};
        setrlimit(RLIMIT_FSIZE, &small);
        Written written;
        try {
            sink.flush(kStart, written);
        } catch (const std::system_error&) {
            EXPECT_EQ(written.size(), 1U) << "the second is not written";
        }
    });
    EXPECT_EQ(dir_.read("out").size(), 2'000'000U);
    the_next_writes(out, "whole");
    EXPECT_EQ(dir_.read("out"), "before\none\nwhole\n");
    close(out);
}

TEST_P(ASinkFileInItsNextLife, CutsOnlyWhatWasNotConfirmed) {
    const int out = open_out();
    for (int i = 0; i < 2; ++i) {
        life(out, [](DescriptorSink& sink) {
            sink.put(completed(1, "one"));
            EXPECT_EQ(flush(sink), std::vector<Seq>{1});
        });
    }
    killed_in_write(out, 100, false, false);
    the_next_writes(out, "whole");
    EXPECT_EQ(dir_.read("out"), "before\none\none\nwhole\n");
    EXPECT_EQ(said(), "");
    close(out);
}

TEST_P(ASinkFileInItsNextLife, LeavesWhatOthersHaveWrittenBehindATornLineAndStartsANewOne) {
    for (const bool ends : {true, false}) {
        const int out = open_out();
        tear(out);
        const std::string others = ends ? "a log's\n" : "a log's";
        ASSERT_GT(write(out, others.data(), others.size()), 0);
        the_next_writes(out, "whole");
        const std::string before = "before\none\n" + std::string(100, 'x');
        EXPECT_EQ(dir_.read("out"), before + "a log's\nwhole\n");
        close(out);
    }
}

TEST_F(ASinkInItsNextLife, NeverCutsWhatIsBehindTheOffset) {  // a shell's `1<> out`
    dir_.write("out", "old contents, which are longer");
    const int out = open(dir_.file("out").c_str(), O_WRONLY | O_CLOEXEC);
    killed_in_write(out, 3, false, true);
    the_next_writes(out, "whole");
    EXPECT_EQ(dir_.read("out"), "xxx\nwhole\nts, which are longer");
    close(out);
}

TEST_P(ASinkFileInItsNextLife, DoesNotCutWhatOthersWroteInTheMiddleOfALongLine) {
    const int out = open_out();
    {
        SinkMark mark(dir_.file("sink.mark"));
        ASSERT_FALSE(mark.begin(out, "out", SinkMark::WithoutWord::leave));
        mark.before_write(3, false);
        ASSERT_EQ(write(out, "xxx", 3), 3);
        mark.after_write(3, 3);
        ASSERT_EQ(write(out, "a log's\n", 8), 8);
        mark.before_write(3, false);
        ASSERT_EQ(write(out, "xxx", 3), 3);
        mark.after_write(3, 6);
    }
    the_next_writes(out, "whole");
    EXPECT_EQ(dir_.read("out"), "before\nxxxa log's\nwhole\n");
    close(out);
}

TEST_P(ASinkFileInItsNextLife, AFileThatWasMadeAnewMeanwhileIsNotCut) {
    const int out = open_out();
    tear(out);
    dir_.write("out", "");
    lseek(out, 0, SEEK_SET);
    the_next_writes(out, "whole");
    EXPECT_EQ(dir_.read("out"), "whole\n");
    close(out);
}

TEST_P(ASinkFileInItsNextLife, AnOrderlyEndCutsATornLineOff) {
    const int out = open_out();
    tear(out);
    last_life(out, [](DescriptorSink&) {});
    EXPECT_EQ(dir_.read("out"), "before\none\n");
    close(out);
}

TEST_P(ASinkFileInItsNextLife, TheFirstLifeContinuesWhatTheShellHasWritten) {
    const int out = open_out();
    ASSERT_EQ(write(out, "result: ", 8), 8);
    the_next_writes(out, "3");
    EXPECT_EQ(dir_.read("out"), "before\nresult: 3\n");
    close(out);
}

// ---- a file of our own, without word -----------------------------------------------------------

std::string after_opening(std::string_view before, bool crashed) {
    using enum SinkMark::WithoutWord;
    const TempDir dir;
    dir.write("out", before);
    testing::internal::CaptureStderr();
    {
        DescriptorSink sink({.descriptor = open_sink_file(dir.file("out")),
                             .name = "out",
                             .mark = dir.file("mark"),
                             .without_word = crashed ? cut : newline},
                            append_raw);
        EXPECT_TRUE(flush(sink).empty());
    }
    const std::string said = testing::internal::GetCapturedStderr();
    EXPECT_EQ(said.find("torn_line_dropped") != std::string::npos, crashed && !before.ends_with('\n'));
    return dir.read("out");
}

TEST(OpenSinkFile, ATornTailIsCutOnlyAfterACrash) {
    EXPECT_EQ(after_opening("one\ntwo\ntor", true), "one\ntwo\n");
    EXPECT_EQ(after_opening("torn", true), "");
    EXPECT_EQ(after_opening("one\ntwo\n", true), "one\ntwo\n");
}

TEST(OpenSinkFile, WithoutACrashAMissingNewlineIsAdded) {
    EXPECT_EQ(after_opening("one\ntwo", false), "one\ntwo\n");
    EXPECT_EQ(after_opening("one\n", false), "one\n");
    EXPECT_EQ(after_opening("", false), "");
}

TEST(OpenSinkFile, AFileThatCannotBeOpenedIsAnError) {
    const TempDir dir;
    EXPECT_THROW((void)open_sink_file(dir.file("no/such/dir")), std::system_error);
}

}  // namespace
}  // namespace curfew
