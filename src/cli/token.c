#include "cli/token.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/random.h"

#define RULE "16 to 256 of the letters, digits and -._~"
#define RANDOM 24 /* bytes of a token that is made: 32 characters */

/* It isn't shown: it may be nearly right. */
static enum lzr_code take(struct lzr_token *t, const char *text, const char *where,
                          struct lzr_err *err)
{
    if (!lzr_token_is_valid(text)) {
        return lzr_err_set(err, LZR_E_INVAL, "%s must be " RULE ", and isn't", where);
    }
    memcpy(t->text, text, strlen(text) + 1);
    return LZR_OK;
}

enum lzr_code lzr_token_take(struct lzr_token *t, const char *text, struct lzr_err *err)
{
    t->in_arguments = true;
    return take(t, text, "--token", err);
}

/* Whether those who shouldn't can read it. */
static enum lzr_code check_mode(int fd, const char *path, struct lzr_err *err)
{
    struct stat st;
    if (fstat(fd, &st) != 0) {
        return lzr_err_sys(err, "--token-file '%s' can't be read", path);
    }
    mode_t bad = S_IRWXO | (st.st_uid == geteuid() ? S_IRWXG : 0);
    if ((st.st_mode & bad) != 0) {
        return lzr_err_set(err, LZR_E_INVAL,
                           "--token-file '%s' is there for others, too (mode %03o); to keep it "
                           "from them: chmod 600 '%s'",
                           path, (unsigned)st.st_mode & 0777u, path);
    }
    return LZR_OK;
}

enum lzr_code lzr_token_read(struct lzr_token *t, const char *path, struct lzr_err *err)
{
    char line[LZR_TOKEN_MAX + 3], where[256];
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return lzr_err_sys(err, "--token-file '%s' can't be read", path);
    }
    if (check_mode(fd, path, err) != LZR_OK) {
        close(fd);
        return LZR_E_INVAL;
    }
    FILE *f = fdopen(fd, "r");
    if (f == NULL) {
        close(fd);
        return lzr_err_sys(err, "--token-file '%s' can't be read", path);
    }
    bool ok = fgets(line, sizeof line, f) != NULL;
    (void)fclose(f);
    line[ok ? strcspn(line, "\r\n") : 0] = '\0';
    (void)snprintf(where, sizeof where, "the first line of --token-file '%.200s'", path);
    t->in_arguments = false;
    return take(t, line, where, err);
}

/* 64 characters for 6 bits each. */
static enum lzr_code make_spare(struct lzr_token *t, struct lzr_err *err)
{
    static const char set[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    unsigned char bytes[RANDOM];
    if (lzr_random(bytes, sizeof bytes, err) != LZR_OK) {
        return lzr_err_prefix(err, "no token can be made (--token-file names one)");
    }
    for (size_t i = 0; i < RANDOM / 3; i++) {
        uint32_t v = (uint32_t)bytes[3 * i] << 16 | (uint32_t)bytes[3 * i + 1] << 8 |
                     bytes[3 * i + 2];
        for (size_t k = 0; k < 4; k++) {
            t->spare[4 * i + k] = set[v >> (18 - 6 * k) & 63];
        }
    }
    t->spare[RANDOM / 3 * 4] = '\0';
    return LZR_OK;
}

enum lzr_code lzr_token_settle(struct lzr_token *t, struct lzr_err *err)
{
    const char *given = getenv("LAZARR_TOKEN");
    if (t->none && t->text[0] != '\0') {
        return lzr_err_set(err, LZR_E_INVAL, "--no-token doesn't go with --token or --token-file");
    }
    if (t->none || t->text[0] != '\0') {
        return LZR_OK;
    }
    return given != NULL && *given != '\0' ? take(t, given, "$LAZARR_TOKEN", err)
                                           : make_spare(t, err);
}
