// curfew-worker: does the work, with one of the handlers that come with curfew.
#include "worker/run_worker.h"

int main(int argc, char** argv) {
    return curfew::run_worker_process(argc, argv, nullptr, curfew::handler_kinds());
}
