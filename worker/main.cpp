// curfew-worker: does the work, with one of the handlers that come with curfew.
#include "curfew/worker.h"

int main(int argc, char** argv) {
    return curfew::run_worker(argc, argv, nullptr);
}
