#include "common/process/running_page.h"

#include <cstdio>
#include <fstream>

namespace curfew {
namespace {

struct Head {
    std::uint64_t magic = 0x31454741504e5552;  // "RUNPAGE1"
    Incarnation worker = 0;
    std::uint64_t slots = 0;
};
static_assert(sizeof(AttemptId) == 16 && sizeof(Head) == 24, "part of the file's format");

constexpr std::uint64_t kMostSlots = 1'000'000;

std::string path_of(const std::string& run_dir, std::string_view name) {
    return run_dir + "/" + std::string(name) + ".running";
}

/// Keeps the page of the life before.
const std::string& set_aside(const std::string& path) {
    // It is not there for the first life
    (void)std::rename(path.c_str(), (path + ".before").c_str());
    return path;
}

std::optional<std::vector<AttemptId>> read_page(const std::string& path, Incarnation worker) {
    std::ifstream file(path, std::ios::binary);
    Head head;
    if (!file.read(reinterpret_cast<char*>(&head), sizeof head)) return std::nullopt;
    if (head.magic != Head{}.magic || head.worker != worker || head.slots > kMostSlots) return std::nullopt;
    std::vector<AttemptId> slots(head.slots);
    const auto bytes = static_cast<std::streamsize>(slots.size() * sizeof(AttemptId));
    if (!file.read(reinterpret_cast<char*>(slots.data()), bytes)) return std::nullopt;
    std::erase_if(slots, [](const AttemptId& id) { return id.number == 0; });
    return slots;
}

}  // namespace

RunningPage::RunningPage(const std::string& run_dir, const std::string& name, Incarnation worker, std::size_t slots)
    : file_(set_aside(path_of(run_dir, name)), sizeof(Head) + slots * sizeof(AttemptId)) {
    auto* head = static_cast<Head*>(file_.data());
    *head = {.worker = worker, .slots = slots};
    slots_ = {reinterpret_cast<AttemptId*>(head + 1), slots};
}

std::optional<std::vector<AttemptId>> read_running(const std::string& run_dir, std::string_view name,
                                                   Incarnation worker) {
    // A peer's word: not out of the run directory
    if (name.find('/') != std::string_view::npos) return std::nullopt;
    const std::string path = path_of(run_dir, name);
    for (const std::string& page : {path, path + ".before"}) {
        if (auto slots = read_page(page, worker)) return slots;
    }
    return std::nullopt;
}

}  // namespace curfew
