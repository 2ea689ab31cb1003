// How the daemons' jemalloc is set. A daemon's memory is used by one loop and libzmq's threads: one arena is enough,
// and what one thread frees serves the other. What a burst leaves behind goes back to the system within a second, and
// large blocks are not kept for each thread: so that memory a year from now is what it is today. Read by jemalloc
// before main; MALLOC_CONF in the environment overrides it.
extern "C" const char* malloc_conf;
const char* malloc_conf = "narenas:1,dirty_decay_ms:500,muzzy_decay_ms:0,tcache_max:4096";
