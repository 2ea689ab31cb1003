// What part of a core each process uses: the difference of what it has used between two looks at
// one life of it. Pure.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "common/words/vocabulary.h"
#include "monitor/look.h"

namespace curfew {

class CpuShares {
public:
    void add(const Look& look, Instant now);
    /// Of a core; none: not known yet, or it does not say.
    [[nodiscard]] std::optional<double> of(const std::string& name) const;
    [[nodiscard]] std::string text_of(const std::string& name) const;

private:
    struct Used {
        Instant at;
        std::uint64_t incarnation = 0;
        double cpu_s = 0;
        std::optional<double> share;
    };

    std::map<std::string, Used> used_;  // who has said it in the last look
};

}  // namespace curfew
