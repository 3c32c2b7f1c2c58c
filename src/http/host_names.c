#include "http/host_names.h"

#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "http/access.h"

/* Once, and only what can stand in a Host header. */
static void take(struct lzr_host_names *names, const char *name)
{
    size_t n = strlen(name);
    while (n > 0 && name[n - 1] == '.') {
        n--;
    }
    if (names->n == LZR_HOST_NAMES_MAX || n == 0 || n >= LZR_HOST_NAMES_BYTES) {
        return;
    }
    char *text = names->text[names->n];
    memcpy(text, name, n);
    text[n] = '\0';
    for (size_t i = 0; i < names->n; i++) {
        if (strcasecmp(names->list[i], text) == 0) {
            return;
        }
    }
    if (!lzr_allow_host_is_valid(text)) {
        return;
    }
    names->list[names->n++] = text;
}

void lzr_host_names_find(struct lzr_host_names *names)
{
    char host[LZR_HOST_NAMES_BYTES], local[LZR_HOST_NAMES_BYTES + 8];
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_CANONNAME};
    struct addrinfo *list = NULL;
    *names = (struct lzr_host_names){.n = 0};
    if (gethostname(host, sizeof host) != 0) {
        return;
    }
    host[sizeof host - 1] = '\0';
    take(names, host);
    int label = (int)strcspn(host, ".");
    if (names->n > 0 && getaddrinfo(host, NULL, &hints, &list) == 0) {
        if (list->ai_canonname != NULL) {
            take(names, list->ai_canonname);
        }
        freeaddrinfo(list);
    }
    if (label > 0) {
        (void)snprintf(local, sizeof local, "%.*s.local", label, host);
        host[label] = '\0';
        take(names, host);
        take(names, local);
    }
}
