#include "worker/handlers/threads.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <exception>
#include <optional>
#include <string>
#include <system_error>

#include "common/process/clock.h"
#include "common/process/poller.h"

namespace curfew {
namespace {

struct Job {
    std::string payload;
    std::string task;
    std::uint64_t seq = 0;
    std::uint32_t attempt = 1;
    Instant deadline_at = kNever;
};

WorkEnd call(const Function& function, const Job& job, Slot slot, const std::stop_token& stop) {
    WorkEnd end;
    end.slot = slot;
    try {
        Message message{job.payload, job.task, job.seq, job.attempt, {}};
        if (job.deadline_at != kNever) message.deadline_at = Clock::of_system(job.deadline_at);
        Answer answer = function(message, stop);
        if (answer.kind == Answer::Kind::ok) {
            end.result = std::move(answer.text);
            return end;
        }
        end.finish = answer.kind == Answer::Kind::rejected ? Finish::rejected : Finish::failed;
        end.error = std::move(answer.text);
    } catch (const std::exception& error) {
        end.finish = Finish::failed;
        end.error = error.what();
    } catch (...) {
        end.finish = Finish::failed;
        end.error = "threw something that is no std::exception";
    }
    // Asked to stop, it gave up: that is no failure of its own.
    if (end.finish == Finish::failed && stop.stop_requested()) end.finish = Finish::stopped;
    return end;
}

}  // namespace

struct ThreadHandler::Shared {
    struct SlotEntry {
        std::optional<Job> job;
        std::stop_source stop;
        bool stop_asked = false;       ///< and not requested yet
        std::condition_variable wake;  ///< of its thread alone: a start wakes no other
    };
    explicit Shared(Slot count) : slots(count) {}

    Function function;
    std::mutex mutex;
    std::condition_variable ended;  ///< a thread has
    std::vector<SlotEntry> slots;
    std::condition_variable wake_stopper;
    std::vector<WorkEnd> ends;
    std::vector<std::thread> threads;
    std::size_t alive = 0;
    bool closing = false;
    int event = -1;

    ~Shared() { close(event); }
};

ThreadHandler::ThreadHandler(Slot slots, Function function) : shared_(std::make_shared<Shared>(slots)) {
    shared_->function = std::move(function);
    shared_->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (shared_->event < 0) throw std::system_error(errno, std::generic_category(), "eventfd");
    shared_->alive = slots + 1;
    for (Slot slot = 0; slot < slots; ++slot) {
        shared_->threads.emplace_back([shared = shared_, slot] { work(shared, slot); });
    }
    shared_->threads.emplace_back([shared = shared_] { request_stops(shared); });
}

ThreadHandler::~ThreadHandler() {
    std::unique_lock lock(shared_->mutex);
    shared_->closing = true;
    for (Shared::SlotEntry& slot : shared_->slots) {
        slot.stop_asked = true;
        slot.wake.notify_one();
    }
    shared_->wake_stopper.notify_one();
    shared_->ended.wait_for(lock, std::chrono::milliseconds(200), [&] { return shared_->alive == 0; });
    const bool all_ended = shared_->alive == 0;
    std::vector<std::thread> threads = std::move(shared_->threads);
    lock.unlock();
    for (std::thread& thread : threads) {
        if (all_ended) {
            thread.join();
        } else {
            thread.detach();
        }
    }
}

void ThreadHandler::work(const std::shared_ptr<Shared>& shared, Slot slot) {
    Shared::SlotEntry& entry = shared->slots[slot];
    std::unique_lock lock(shared->mutex);
    for (;;) {
        entry.wake.wait(lock, [&] { return shared->closing || entry.job; });
        if (shared->closing) break;
        const Job job = std::move(*entry.job);
        entry.job.reset();
        const std::stop_token stop = entry.stop.get_token();
        lock.unlock();
        WorkEnd end = call(shared->function, job, slot, stop);
        lock.lock();
        shared->ends.push_back(std::move(end));
        const std::uint64_t one = 1;
        (void)!write(shared->event, &one, sizeof one);
    }
    --shared->alive;
    shared->ended.notify_one();
}

/// What the function has hung on its stop token runs here, and may take its time: the loop goes on,
/// and so do the other slots, as nothing is held meanwhile.
void ThreadHandler::request_stops(const std::shared_ptr<Shared>& shared) {
    std::unique_lock lock(shared->mutex);
    for (;;) {
        const auto asked = std::ranges::find(shared->slots, true, &Shared::SlotEntry::stop_asked);
        if (asked == shared->slots.end()) {
            if (shared->closing) break;
            shared->wake_stopper.wait(lock);
            continue;
        }
        asked->stop_asked = false;
        // The slot may have other work by the time this is over
        std::stop_source stop = asked->stop;
        lock.unlock();
        stop.request_stop();
        lock.lock();
    }
    --shared->alive;
    shared->ended.notify_one();
}

void ThreadHandler::start(Instant, Slot slot, const Work& work) {
    const std::scoped_lock lock(shared_->mutex);
    Shared::SlotEntry& entry = shared_->slots[slot];
    entry.stop = std::stop_source();
    entry.stop_asked = false;
    entry.job = Job{std::string(work.payload), std::to_string(work.epoch) + "-" + std::to_string(work.seq), work.seq,
                    work.ordinal, work.deadline_at};
    entry.wake.notify_one();
}

void ThreadHandler::stop(Instant, Slot slot) {
    const std::scoped_lock lock(shared_->mutex);
    shared_->slots[slot].stop_asked = true;
    shared_->wake_stopper.notify_one();
}

void ThreadHandler::turn(Instant, std::vector<WorkEnd>& ends) {
    std::uint64_t count = 0;
    (void)!read(shared_->event, &count, sizeof count);
    const std::scoped_lock lock(shared_->mutex);
    for (WorkEnd& end : shared_->ends) ends.push_back(std::move(end));
    shared_->ends.clear();
}

void ThreadHandler::wait_for(Poller& poller) const {
    poller.add(shared_->event);
}

}  // namespace curfew
