// How the daemons' jemalloc is set. A daemon's memory is used by one loop and libzmq's threads: one
// arena is enough, and what one thread frees serves the other. What a burst leaves behind goes back
// to the system within eight seconds (at once, when the process is quiet: Daemon::rest); much
// sooner, and a busy daemon gives back the frames of one turn only to ask the system for those of
// the next, and its memory goes up and down with what is in flight. Frames and blocks of payloads,
// up to 32 KiB, and some turns' worth of pages of tables are kept for each thread. Read by jemalloc
// before main; MALLOC_CONF in the environment overrides it.
extern "C" const char* malloc_conf;
const char* malloc_conf = "narenas:1,dirty_decay_ms:8000,muzzy_decay_ms:0,tcache_max:32768,lg_tcache_nslots_mul:4";
