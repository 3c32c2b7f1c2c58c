/* host_names.h: what others call this machine. */
#ifndef LZR_HTTP_HOST_NAMES_H
#define LZR_HTTP_HOST_NAMES_H

#include <stddef.h>

#define LZR_HOST_NAMES_MAX 4
#define LZR_HOST_NAMES_BYTES 256

struct lzr_host_names {
    char text[LZR_HOST_NAMES_MAX][LZR_HOST_NAMES_BYTES];
    const char *list[LZR_HOST_NAMES_MAX]; /* point into text: the struct must not move */
    size_t n;
};

/* Its host name, which is the first; that without its domain; the name that its resolver knows it
 * by; and the first one below ".local", which it answers to on its own network. Asks the resolver,
 * which may take seconds where that is a server that doesn't answer. Empty where it has no name. */
void lzr_host_names_find(struct lzr_host_names *names);

#endif
