#include "cli/near.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

enum { LONGEST = 40, FARTHEST = 2 };

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* How many letters have to be put in, left out or exchanged to make one of the other. Of at most
 * LONGEST letters each. */
static size_t distance(const char *a, size_t n, const char *b, size_t m)
{
    size_t row[LONGEST + 1];
    for (size_t j = 0; j <= m; j++) {
        row[j] = j;
    }
    for (size_t i = 0; i < n; i++) {
        size_t corner = row[0]++;
        for (size_t j = 0; j < m; j++) {
            size_t other = corner + (a[i] != b[j]);
            corner = row[j + 1];
            row[j + 1] = least(other, least(corner, row[j]) + 1);
        }
    }
    return row[m];
}

/* The one that n letters may mean: it is near, or begins with them. NULL: none. */
static const char *nearest(const char *given, size_t n, const struct option *words)
{
    const char *found = NULL;
    size_t best = FARTHEST + 1;
    for (; n > FARTHEST && n <= LONGEST && words->name != NULL; words++) {
        size_t m = strlen(words->name);
        bool begins = m > n && strncmp(words->name, given, n) == 0;
        size_t d = begins ? least(m - n, FARTHEST)
                   : m > LONGEST ? FARTHEST + 1
                                 : distance(given, n, words->name, m);
        if (d < best) {
            best = d;
            found = words->name;
        }
    }
    return found;
}

int lzr_unknown_option(const char *given, const struct option *options)
{
    const char *name = given + strspn(given, "-");
    const char *meant = nearest(name, strcspn(name, "="), options);
    (void)fprintf(stderr, "lazarr: unknown option '%.200s'%s%s%s (lazarr --help says how)\n", given,
                  meant != NULL ? ": did you mean '--" : "", meant != NULL ? meant : "",
                  meant != NULL ? "'?" : "");
    return 2;
}

int lzr_unknown_command(const char *given)
{
    static const struct option commands[] = {{"serve", 0, NULL, 0}, {"describe", 0, NULL, 0},
                                             {"get", 0, NULL, 0},   {"bdv", 0, NULL, 0},
                                             {"--version", 0, NULL, 0}, {NULL, 0, NULL, 0}};
    const char *meant = nearest(given, strlen(given), commands);
    bool is_store = strpbrk(given, "./:") != NULL;
    (void)fprintf(stderr, "lazarr: unknown command '%.200s'%s%.200s%s (lazarr --help says how)\n",
                  given,
                  is_store        ? ": to serve a store, lazarr serve "
                  : meant != NULL ? ": did you mean '"
                                  : "",
                  is_store        ? given
                  : meant != NULL ? meant
                                  : "",
                  !is_store && meant != NULL ? "'?" : "");
    return 2;
}
