// The sink of worlds in which it remembers, by the rules of collector/sinks/journaled_file.h: an
// output, and written after it a journal in its real form (collector/sinks/journal.h). A process
// that dies may leave a part of what it was writing. A power loss takes from each file, whatever
// happens to the other, its end and any sectors of what was not synced: there stand zeros.
#pragma once

#include <cstdint>
#include <map>
#include <random>
#include <string>
#include <string_view>

#include "collector/outcome_record.h"
#include "collector/settled.h"
#include "collector/sinks/journal.h"

namespace curfew::simulation {

class TwoFiles {
public:
    TwoFiles() { (void)begin(); }

    /// A start: both are cut to what they agree on, and synced. Returns what is there.
    Settled::Memory begin();
    void put(const OutcomeRecord& outcome);
    void sync();
    [[nodiscard]] bool is_synced() const { return output_.is_synced() && journal_.is_synced(); }

    void die_while_writing(std::mt19937_64& random);
    void lose_power(std::mt19937_64& random);

    /// As somebody sees the output who knows of no journal: how often each number is there;
    /// 0: what is no outcome.
    [[nodiscard]] std::map<Seq, std::uint32_t> lines() const;
    [[nodiscard]] const char* broken() const { return broken_; }

private:
    struct File {
        std::string bytes;
        std::size_t synced = 0;  // so many of them, from the first on
        [[nodiscard]] bool is_synced() const { return synced == bytes.size(); }
        void lose_power(std::mt19937_64& random);
        /// Writing goes on there, also where that is behind its end.
        void cut(std::size_t at) { bytes.resize(at); }
    };
    [[nodiscard]] std::size_t sound_end();
    void refuse_damage_in_between(std::size_t at);
    [[nodiscard]] std::string_view bytes_of(const JournalRecord& record) const;

    File output_, journal_;
    Epoch epoch_ = 0;
    const char* broken_ = nullptr;
};

}  // namespace curfew::simulation
