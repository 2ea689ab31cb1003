/* In place of libc's: names that end in .invalid are looked up for ever. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <netdb.h>
#include <string.h>
#include <unistd.h>

int getaddrinfo(const char* node, const char* service, const struct addrinfo* hints, struct addrinfo** found) {
    typedef int (*Lookup)(const char*, const char*, const struct addrinfo*, struct addrinfo**);
    Lookup next = (Lookup)dlsym(RTLD_NEXT, "getaddrinfo");
    if (node != 0 && strlen(node) > 8 && strcmp(node + strlen(node) - 8, ".invalid") == 0)
        for (;;) pause();
    return next(node, service, hints, found);
}
