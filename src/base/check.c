#include "base/check.h"

#include <stdio.h>
#include <stdlib.h>

_Noreturn void lzr_panic(const char *file, int line, const char *what)
{
    (void)fprintf(stderr, "lazarr: panic at %s:%d: %s\n", file, line, what);
    abort();
}
