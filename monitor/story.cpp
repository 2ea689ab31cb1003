#include "monitor/story.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "monitor/fields.h"
#include "monitor/terminal_text.h"

namespace curfew {
namespace {

using nlohmann::json;

/// Session and number: what an attempt is called by both sides.
using Key = std::pair<std::uint64_t, std::uint64_t>;

Key key_of(const json& row) {
    return {count(row, "session"), count(row, "number")};
}

std::set<std::string> workers_of(const json& task) {
    std::set<std::string> names;
    for (const json& attempt : task.value("attempts", json::array())) {
        if (field(attempt, "worker").is_string()) names.insert(attempt["worker"].get<std::string>());
    }
    return names;
}

json answer_of(const std::optional<std::string>& said) {
    json answer = said ? json::parse(*said, nullptr, false) : json();
    return answer.is_object() ? answer : json();
}

}  // namespace

json merge_story(const json& broker, const std::vector<Said>& workers) {
    std::map<Key, const json*> work;
    json unanswered = json::array();
    for (const auto& [name, said] : workers) {
        if (!field(said, "work").is_array()) {
            unanswered.push_back(name);
            continue;
        }
        for (const json& row : said["work"]) work[key_of(row)] = &row;
    }
    json task = field(broker, "task");
    if (task.is_object()) {
        json& attempts = task["attempts"];
        if (!attempts.is_array()) attempts = json::array();
        std::erase_if(attempts.get_ref<json::array_t&>(), [](const json& attempt) { return !attempt.is_object(); });
        for (json& attempt : attempts) {
            const auto at = work.find(key_of(attempt));
            attempt["work"] = at == work.end() ? json()
                                               : json{{"began_us", field(*at->second, "began_us")},
                                                      {"stop_us", field(*at->second, "stop_us")},
                                                      {"ended_us", field(*at->second, "ended_us")}};
        }
        std::stable_sort(attempts.begin(), attempts.end(), [](const json& a, const json& b) {
            return std::pair(count(a, "sent_us"), count(a, "attempt")) <
                   std::pair(count(b, "sent_us"), count(b, "attempt"));
        });
    }
    return {{"schema", 1},
            {"now_us", field(broker, "now_us")},
            {"last_seq", field(broker, "last_seq")},
            {"stories", field(broker, "stories")},
            {"one_of", field(broker, "one_of")},
            {"task", std::move(task)},
            {"unanswered", std::move(unanswered)}};
}

json ask_story(Client& client, const std::vector<Target>& targets, const std::string& task, Duration patience) {
    const auto question = [](const std::string& what) { return json{{"ask", "story"}, {"task", what}}.dump(); };
    const json broker = answer_of(client.ask(targets.front().endpoint, question(task), patience));
    if (!broker.contains("task")) return {};
    if (!broker["task"].is_object()) return merge_story(broker, {});
    const std::set<std::string> names = workers_of(broker["task"]);
    std::vector<Target> workers;
    std::ranges::copy_if(targets, std::back_inserter(workers),
                         [&](const Target& target) { return names.contains(target.name); });
    const auto said = client.ask_all(workers, question(std::to_string(count(broker["task"], "seq"))), patience);
    std::vector<Said> answers;
    for (const std::string& name : names) {
        const auto at = std::ranges::find(workers, name, &Target::name);
        const auto place = static_cast<std::size_t>(at - workers.begin());
        answers.emplace_back(name, at == workers.end() ? json() : answer_of(said[place]));
    }
    return merge_story(broker, answers);
}

std::string why_no_story(const json& story, const std::string& task) {
    if (field(story, "task").is_object()) return {};
    const std::uint64_t last = count(story, "last_seq");
    const bool is_number = !task.empty() && task.find_first_not_of("0123456789") == std::string::npos;
    if (is_number && (task.size() > 19 || std::stoull(task) > last))
        return fmt::format("there is no task {} yet: the last message has the number {}", task, last);
    const std::uint64_t step = count(story, "one_of");
    return fmt::format(
        "task {} is not in flight, and not among the last {} whose story is told{}; what became of it "
        "is in the output",
        task, count(story, "stories"), step > 1 ? fmt::format(" (one of {}: there are many a second)", step) : "");
}

}  // namespace curfew
