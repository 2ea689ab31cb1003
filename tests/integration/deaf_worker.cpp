// A worker whose function is deaf: the first attempt of a task does not look at its stop token before the file that the
// message names is there. Every other attempt answers at once.
#include <curfew/worker.h>

#include <chrono>
#include <filesystem>
#include <string>
#include <thread>

namespace {

curfew::Answer listen_late(const curfew::Message& message, std::stop_token) {
    const std::filesystem::path file = message.payload;
    while (message.attempt == 1 && !std::filesystem::exists(file))
        std::this_thread::sleep_for(std::chrono::milliseconds(5));  // it is deaf: the file is its only end
    return curfew::Answer::ok(std::string(message.payload));
}

}  // namespace

int main(int argc, char** argv) {
    return curfew::run_worker(argc, argv, listen_late);
}
