// Asks processes over their monitor and admin sockets. Each question has a time limit; a process
// that does not answer is an answer too. One thread; throws EndpointError for endpoints that cannot
// be.
#pragma once

#include <optional>
#include <string>
#include <vector>
#include <zmq.hpp>

#include "common/words/vocabulary.h"

namespace curfew {

/// A process of the group: its name and where it answers.
struct Target {
    std::string name;
    std::string endpoint;
};

/// The monitor sockets in a run directory, broker first, then collector, then workers by name.
/// Throws std::runtime_error if there are none.
[[nodiscard]] std::vector<Target> targets_in(const std::string& run_dir);

class Client {
public:
    Client();
    /// The answer, or none within `patience`.
    [[nodiscard]] std::optional<std::string> ask(const std::string& endpoint, const std::string& request,
                                                 Duration patience);

    /// Asks all at once: so who does not answer costs the others nothing. As many answers as
    /// targets.
    [[nodiscard]] std::vector<std::optional<std::string>> ask_all(const std::vector<Target>& targets,
                                                                  const std::string& request, Duration patience);

private:
    zmq::context_t context_;
};

}  // namespace curfew
