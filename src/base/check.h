/* check.h: assertions that stay on in production.
 *
 * LZR_CHECK is for what can't happen unless lazarr itself is wrong; it prints where and aborts.
 * What a user, a client, a disk or a worker can cause is never checked with it but reported
 * through lzr_err. */
#ifndef LZR_BASE_CHECK_H
#define LZR_BASE_CHECK_H

_Noreturn void lzr_panic(const char *file, int line, const char *what);

#define LZR_CHECK(cond) ((cond) ? (void)0 : lzr_panic(__FILE__, __LINE__, #cond))
/* For pthread calls and others that return an error number and can't fail here. */
#define LZR_ZERO(call) ((call) == 0 ? (void)0 : lzr_panic(__FILE__, __LINE__, #call))

#endif
