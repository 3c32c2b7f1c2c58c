/* token.h: where the token of `lazarr serve` comes from. */
#ifndef LZR_CLI_TOKEN_H
#define LZR_CLI_TOKEN_H

#include <stdbool.h>

#include "base/err.h"
#include "http/access.h"

struct lzr_token {
    char text[LZR_TOKEN_MAX + 1];  /* "": none */
    char spare[LZR_TOKEN_MAX + 1]; /* of a bind that others reach, where none was given */
    bool in_arguments;             /* text was an argument: everybody here can read it */
    bool none;                     /* --no-token */
};

/* --token. */
enum lzr_code lzr_token_take(struct lzr_token *t, const char *text, struct lzr_err *err);
/* --token-file: the first line of a file. One that others may read is refused; its group may where
 * the file is another user's, as service managers hand them out. */
enum lzr_code lzr_token_read(struct lzr_token *t, const char *path, struct lzr_err *err);
/* Once all options are taken: $LAZARR_TOKEN where none was given, else one at random as the spare.
 */
enum lzr_code lzr_token_settle(struct lzr_token *t, struct lzr_err *err);

#endif
