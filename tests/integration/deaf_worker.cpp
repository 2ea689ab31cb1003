// A worker whose function is deaf: the first attempt of a task does not look at its stop token
// before the file that the message names is there. Every other attempt answers as soon as the first
// has begun.
#include <curfew/worker.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>

namespace {

curfew::Answer listen_late(const curfew::Message& message, std::stop_token) {
    const std::filesystem::path file = message.payload;
    const std::filesystem::path begun = std::string(message.payload) + ".begun";
    if (message.attempt == 1) std::ofstream(begun).put('\n');
    // It is deaf: it sleeps, and looks for the file that ends it, whatever its stop token says.
    while (!std::filesystem::exists(message.attempt == 1 ? file : begun))
        std::this_thread::sleep_for(std::chrono::milliseconds(5));
    return curfew::Answer::ok(std::string(message.payload));
}

}  // namespace

int main(int argc, char** argv) {
    return curfew::run_worker(argc, argv, listen_late);
}
