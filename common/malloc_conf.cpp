// How the daemons' jemalloc is set: memory that a burst leaves behind goes back to the system within seconds. Read by
// jemalloc before main; MALLOC_CONF in the environment overrides it.
extern "C" const char* malloc_conf;
const char* malloc_conf = "dirty_decay_ms:2000,muzzy_decay_ms:0";
