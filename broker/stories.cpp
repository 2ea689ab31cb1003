#include "broker/stories.h"

#include <algorithm>
#include <utility>

namespace curfew {

void Stories::ended(ToldAttempt attempt, bool in_flight) {
    auto at = stories_.find(attempt.was.seq);
    if (at == stories_.end()) {
        if (!in_flight) return;  // it has made room for others
        at = stories_.try_emplace(attempt.was.seq).first;
    }
    Story& story = at->second;
    std::erase(story.open, attempt.id);
    if (story.attempts.size() >= kMostOfOne && attempt.end != End::won) {
        if (!attempt.moved) ++story.left_out;
        return;
    }
    attempt.error.resize(std::min(attempt.error.size(), kErrorBytes));
    story.attempts.push_back(std::move(attempt));
    if (story.settled_at == kNever) return;
    Shelf& shelf = shelf_of(story);
    ++shelf.attempts;
    make_room(shelf);
}

void Stories::settled(Instant now, Seq seq, const Task& task, Outcome outcome) {
    Story& story = stories_[seq];
    if (const std::string* id = task.id()) story.id = *id;
    story.accepted_at = task.accepted_at;
    story.settled_at = now;
    story.outcome = outcome;
    story.started = task.started;
    if (task.past != nullptr && outcome != Outcome::completed) story.error = task.past->last_error;
    story.error.resize(std::min(story.error.size(), kErrorBytes));
    story.open.assign(task.alive.begin(), task.alive.end());
    Shelf& shelf = shelf_of(story);
    shelf.order.push_back(seq);
    shelf.attempts += story.attempts.size();
    make_room(shelf);
}

void Stories::make_room(Shelf& shelf) {
    while (shelf.order.size() > kMostTasks || shelf.attempts > kMostAttempts) {
        const auto oldest = stories_.find(shelf.order.front());
        shelf.attempts -= oldest->second.attempts.size();
        stories_.erase(oldest);
        shelf.order.pop_front();
    }
}

const Story* Stories::find(Seq seq) const {
    const auto at = stories_.find(seq);
    return at == stories_.end() ? nullptr : &at->second;
}

Seq Stories::find(std::string_view id) const {
    Seq last = 0;
    for (const Shelf* shelf : {&completed_, &others_}) {
        const auto at = std::find_if(shelf->order.rbegin(), shelf->order.rend(),
                                     [&](Seq seq) { return stories_.at(seq).id == id; });
        if (at != shelf->order.rend()) last = std::max(last, *at);
    }
    return last;
}

}  // namespace curfew
