/* What is said at the start of arrays whose first picture takes long. */
#include "engine/engine.h"
#include "store/cost.h"

/* A viewer's first picture is of the coarsest levels: where those cost much, their author is told.
 */
static void say_cost(void *ctx, const struct lzr_cost *c)
{
    struct lzr_driver *d = ctx;
    lzr_log(
        d->log, LZR_LOG_WARN,
        "%s/%s: a chunk of its coarsest level takes %llu blocks, most of \"%s\"; levels of that "
        "one which aren't made of its finest spare them: pyramid=\"each\", or a file's own (said "
        "from %d on)",
        c->array->store->name, c->array->path, (unsigned long long)c->blocks, c->most->path,
        LZR_COSTLY_BLOCKS + 1);
}

void lzr_say_costs(struct lzr_driver *d)
{
    struct lzr_err err;
    for (size_t i = 0; i < d->nstores; i++) {
        if (lzr_cost_check(lzr_catalog_store(d->catalog, i), LZR_COSTLY_BLOCKS, say_cost, d,
                           &err) != LZR_OK) {
            lzr_log(d->log, LZR_LOG_WARN, "%s", err.msg);
        }
    }
}
