// The command of a supervisor, made ready to be started again and again: where it is, what its
// environment and its arguments are, which descriptors it is handed. One thread.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "worker/supervisor/link.h"
#include "worker/supervisor/pipes.h"
#include "worker/supervisor/process_tree.h"

namespace curfew {

class Command {
public:
    /// `handed_on`: one for each of setup.handed_on.
    Command(std::vector<std::string> words, RunSetup setup, std::vector<OwnedDescriptor> handed_on);

    struct Started {
        pid_t pid = 0;               ///< 0: there is no child, not even one that could only exit
        int error = 0;               ///< errno of what failed; 0: it runs
        std::string_view step = {};  ///< where there is no child: what failed
    };
    /// Starts it for one message, with these ends.
    [[nodiscard]] Started start(const Start& start, const PipeEnds& ends);

    /// Of what did not run: what there is to say beyond this errno, if anything.
    [[nodiscard]] std::string why_not_started(int error) const;

    [[nodiscard]] const RunSetup& setup() const { return setup_; }

private:
    [[nodiscard]] bool open_handed_on(std::vector<OwnedDescriptor>& opened) const;
    [[nodiscard]] std::vector<std::string> arguments_for(std::string_view message) const;
    [[nodiscard]] Launched launch_with(const Start& start, const PipeEnds& ends,
                                       const std::vector<OwnedDescriptor>& opened) const;

    std::vector<std::string> words_;
    RunSetup setup_;
    std::vector<OwnedDescriptor> handed_on_;
    std::vector<std::string> paths_;
    std::size_t path_ = 0;            // the one that ran last
    std::vector<char*> environment_;  // what every run inherits
};

}  // namespace curfew
