#include "common/process/suggestion.h"

#include <algorithm>
#include <cctype>
#include <cstddef>
#include <numeric>
#include <utility>

namespace curfew {
namespace {

/// A word of one or two letters is near to everything.
constexpr std::size_t kShortest = 3;

std::string bare(std::string_view word) {
    std::string letters;
    for (const char c : word.substr(0, word.find_first_of("=:"))) {
        if (c != '-' && c != '_') letters += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    }
    return letters;
}

/// Letters to add, to leave out, to replace, or to swap with their neighbour.
std::size_t distance(const std::string& a, const std::string& b) {
    std::vector<std::size_t> before, last, row(b.size() + 1);
    std::iota(row.begin(), row.end(), std::size_t{0});
    for (std::size_t i = 1; i <= a.size(); ++i) {
        before = std::move(last);
        last = row;
        row[0] = i;
        for (std::size_t j = 1; j <= b.size(); ++j) {
            row[j] = std::min({last[j] + 1, row[j - 1] + 1, last[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1)});
            const bool swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
            if (swapped) row[j] = std::min(row[j], before[j - 2] + 1);
        }
    }
    return row.back();
}

}  // namespace

std::string nearest(std::string_view word, const std::vector<std::string>& known) {
    constexpr std::size_t kLongest = 40;  // no name is that long; the work below is bounded
    const std::string said = bare(word);
    if (said.size() < kShortest || said.size() > kLongest) return {};
    std::string best;
    std::size_t least = said.size() / 3 + 1;  // so many mistakes are too many
    for (const std::string& name : known) {
        const std::size_t mistakes = distance(said, bare(name));
        if (mistakes < std::exchange(least, std::min(least, mistakes))) best = name;
    }
    if (!best.empty()) return best;
    const auto begins = [&](const std::string& name) { return bare(name).starts_with(said); };
    if (std::ranges::count_if(known, begins) == 1) return *std::ranges::find_if(known, begins);
    return {};
}

std::string did_you_mean(std::string_view word, const std::vector<std::string>& known) {
    const std::string name = nearest(word, known);
    return name.empty() ? name : "; did you mean " + name + "?";
}

}  // namespace curfew
