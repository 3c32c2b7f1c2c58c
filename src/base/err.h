/* err.h: how a function of lazarr says that it failed.
 *
 * A function that can fail returns `enum lzr_code` (LZR_OK is 0) and takes a nullable
 * `struct lzr_err *` as its last argument, written only on failure. The struct holds its text by
 * value, so the error path never allocates. Out-parameters are untouched on failure.
 *
 * Texts: lower case, no full stop, what failed first, the object in quotes, what was expected and
 * what came. They are complete enough to be shown to a user behind "lazarr: ". */
#ifndef LZR_BASE_ERR_H
#define LZR_BASE_ERR_H

#define LZR_CODES(X)                                                                               \
    X(OK, "ok")                                                                                    \
    X(E_NOMEM, "out of memory")                                                                    \
    X(E_INVAL, "invalid argument")                                                                 \
    X(E_NOTFOUND, "not found")                                                                     \
    X(E_LIMIT, "limit exceeded")                                                                   \
    X(E_BUSY, "overloaded")                                                                        \
    X(E_TIMEOUT, "timed out")                                                                      \
    X(E_CANCELLED, "cancelled")                                                                    \
    X(E_PROTO, "protocol violated")                                                                \
    X(E_CODEC, "codec failed")                                                                     \
    X(E_WORKER, "worker died")                                                                     \
    X(E_USER, "the store's function failed")                                                       \
    X(E_SYS, "system call failed")

enum lzr_code {
#define LZR_CODE_ENUM(name, text) LZR_##name,
    LZR_CODES(LZR_CODE_ENUM)
#undef LZR_CODE_ENUM
};

struct lzr_err {
    enum lzr_code code;
    int sys; /* errno at the time, or 0 */
    char msg[512];
};

/* Writes a formatted text into err, if err is not NULL. Of one that is too long the middle is left
 * out, so that a long path takes no reason with it.
 * Returns code, so that `return lzr_err_set(err, LZR_E_INVAL, "...")` reads as one step. */
enum lzr_code lzr_err_set(struct lzr_err *err, enum lzr_code code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* As lzr_err_set with LZR_E_SYS; appends ": " and the text of errno, which it keeps in err->sys. */
enum lzr_code lzr_err_sys(struct lzr_err *err, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* Puts "prefix: " before the text of err (nullable). For adding context when an error crosses a
 * module. Returns err->code (LZR_E_INVAL if err is NULL). */
enum lzr_code lzr_err_prefix(struct lzr_err *err, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* The fixed text of a code, e.g. "timed out". Never NULL. */
const char *lzr_code_text(enum lzr_code code);

#endif
