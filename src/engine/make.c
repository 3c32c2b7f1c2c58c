/* Tasks of the codec threads: chunks that are made in C, by their recipes. */
#include <unistd.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/mem.h"
#include "engine/engine.h"
#include "engine/needs.h"
#include "engine/recipe.h"
#include "store/codec.h"
#include "store/copied.h"

/* So many answers like it, or bytes, may always wait for their clients. */
enum { UNSENT_FEW = 4 };
#define UNSENT_LEAST (UINT64_C(32) << 20)

const struct lzr_recipe lzr_recipe_compute = {.worker = true, .remembers = true};

const struct lzr_recipe *lzr_recipe_of(const struct lzr_chunk *c)
{
    if (c->encoding != LZR_ENC_ZARR) {
        return &lzr_recipe_transcode;
    }
    if (c->array->levels[c->level].data != NULL) {
        return &lzr_recipe_read;
    }
    if (c->array->copied) {
        const struct lzr_copied_from from = lzr_copied_from(c->array, c->level);
        return from.array->levels[from.level].data != NULL ? &lzr_recipe_copy_read
                                                           : &lzr_recipe_copy;
    }
    if (lzr_level_reduced(c->array, c->level)) {
        return c->array->levels[c->level - 1].data != NULL ? &lzr_recipe_reduce_source
                                                           : &lzr_recipe_reduce;
    }
    return c->array->ninputs > 0 ? &lzr_recipe_inputs : &lzr_recipe_compute;
}

void lzr_task_add(struct lzr_driver *d, struct lzr_flight *f, bool first)
{
    uint64_t one = 1;
    if (lzr_reads_wants(d, f)) {
        lzr_reads_add(d, f, first);
        return;
    }
    if (first) {
        lzr_list_push_front(&d->tasks, f);
    } else {
        lzr_list_push(&d->tasks, f);
    }
    ssize_t n = write(d->task_fd, &one, sizeof one);
    LZR_CHECK(n == (ssize_t)sizeof one);
}

/* The server distrusts what it gets: a bool is 0 or 1. */
static bool sane(const struct lzr_array *a, const void *raw, size_t n, struct lzr_err *err)
{
    if (a->dtype.kind != 'b') {
        return true;
    }
    const unsigned char *bytes = raw;
    unsigned char all = 0;
    for (size_t i = 0; i < n; i++) {
        all |= bytes[i];
    }
    if (all > 1) {
        lzr_err_set(err, LZR_E_USER, "a block of dtype bool holds a byte other than 0 and 1");
        return false;
    }
    return true;
}

static enum lzr_code no_memory(struct lzr_err *err)
{
    return lzr_err_set(err, LZR_E_NOMEM, "no memory for an encoded chunk");
}

/* Into scratch, and from there to where it stays, as long as it is: what is taken long and cut
 * short leaves holes that the next long one doesn't fit in. */
static enum lzr_code encode_beside(struct lzr_driver *d, const struct lzr_array *a, const void *raw,
                                   size_t n, size_t bound, struct lzr_blob **out,
                                   struct lzr_err *err)
{
    size_t len = 0;
    struct lzr_scratch *s = lzr_scratch_take(&d->scratch, bound);
    if (s == NULL) {
        return no_memory(err);
    }
    lzr_budget_add(&d->budget, bound);
    enum lzr_code code =
        lzr_codec_encode(&a->codec, a->dtype.size, raw, n, s->data, bound, &len, err);
    lzr_budget_sub(&d->budget, bound);
    if (code == LZR_OK) {
        *out = lzr_blob_dup(s->data, len, &d->budget);
        code = *out != NULL ? LZR_OK : no_memory(err);
    }
    lzr_scratch_give(&d->scratch, &s);
    return code;
}

enum lzr_code lzr_chunk_encode(struct lzr_driver *d, const struct lzr_array *a, uint32_t level,
                               const void *raw, struct lzr_blob **out, struct lzr_err *err)
{
    size_t n = (size_t)(a->levels[level].grid.chunk_elements * a->dtype.size), len = 0;
    if (!sane(a, raw, n, err)) {
        return LZR_E_USER;
    }
    size_t bound = lzr_codec_bound(&a->codec, n);
    if (a->codec.id != LZR_CODEC_NONE && bound <= LZR_SCRATCH_KEPT) {
        return encode_beside(d, a, raw, n, bound, out, err);
    }
    struct lzr_blob *b = lzr_blob_new(bound, &d->budget);
    if (b == NULL) {
        return no_memory(err);
    }
    enum lzr_code code =
        lzr_codec_encode(&a->codec, a->dtype.size, raw, n, b->data, b->len, &len, err);
    if (code != LZR_OK) {
        lzr_blob_unref(&b);
        return code;
    }
    *out = lzr_blob_shrink(b, len);
    return LZR_OK;
}

bool lzr_keeps(const struct lzr_driver *d)
{
    return d->keep || d->gathering > 0;
}

void lzr_kept(struct lzr_driver *d)
{
    if (!lzr_keeps(d)) {
        lzr_cache_clear(d->cache);
    }
}

void lzr_task_push(struct lzr_driver *d, struct lzr_flight *f)
{
    f->state = LZR_MAKING;
    d->making++;
    lzr_task_add(d, f, false);
}

/* Whether what a task makes is for answers only: no plan wants it, which would have room
 * for it, and no block that has begun is computed from it. */
static bool is_for_answers(const struct lzr_flight *f)
{
    bool yes = f->state == LZR_MAKING && f->wanted == NULL;
    for (const struct lzr_request *r = f->waiters; yes && r != NULL; r = r->next) {
        const struct lzr_need *need = r->done == NULL ? r->ctx : NULL;
        yes = need == NULL || need->of->recipe->eager;
    }
    return yes;
}

/* Whether one more answer may wait for its client: some always may, so that who is slow isn't in
 * everybody's way where the budget is small. But what is read for another format is held until that
 * has been made: no more than can be made at a time. */
static bool may_answer(struct lzr_driver *d, const struct lzr_flight *f)
{
    uint64_t bytes = lzr_flight_output_bytes(f);
    uint64_t unsent = atomic_load_explicit(&d->budget.unsent, memory_order_relaxed);
    bool few = unsent <= UNSENT_LEAST || unsent <= UNSENT_FEW * bytes || lzr_may_overdraw(d);
    return (few && (f->needs != NULL || d->holding < d->ncodecs)) || lzr_make_room(d, bytes);
}

bool lzr_task_waits(struct lzr_driver *d, struct lzr_flight *f)
{
    bool waits = is_for_answers(f) && !may_answer(d, f);
    if (waits) {
        lzr_list_push(&d->kept_back, f);
    }
    return waits;
}

void lzr_tasks_go_on(struct lzr_driver *d)
{
    for (unsigned n = 0; n < d->ncodecs && d->kept_back.head != NULL; n++) {
        struct lzr_flight *f = d->kept_back.head;
        if (is_for_answers(f) && !may_answer(d, f)) {
            return;
        }
        lzr_list_remove(&d->kept_back, f);
        lzr_task_add(d, f, true);
    }
}

/* The flight's chunk is there: what it counts for. With mu. */
static void count(struct lzr_driver *d, const struct lzr_flight *f, const struct lzr_blob *b)
{
    struct lzr_array_stats *as = &d->array_stats[f->array->id];
    if (f->encoding != LZR_ENC_ZARR) {
        d->stats.transcoded_total++;
        d->stats.transcode_us_total += f->encode_us;
        return;
    }
    d->stats.made_total++;
    d->stats.make_us_total += f->encode_us;
    if (f->recipe == &lzr_recipe_read || f->recipe == &lzr_recipe_copy_read) {
        d->stats.source_reads_total++;
        as->read++;
        as->read_us += f->encode_us;
    }
    if (!f->array->copied || !lzr_copied_pieces(f->array, f->level)) { /* whose mean says little */
        as->encoded++;
        as->encoded_bytes += b->len;
    }
    lzr_failures_forget(&d->failures, f->array->id, f->level, f->index);
}

void lzr_task_made(struct lzr_driver *d, struct lzr_flight *f, struct lzr_blob *b,
                   const struct lzr_err *err, struct lzr_request **list)
{
    if (b == NULL) {
        if (err->code != LZR_E_CANCELLED) {
            lzr_log_as(d->log, LZR_LOG_ERROR, lzr_failing(d, f), "%s/%s: chunk %llu: %s",
                       f->array->store->name, f->array->path, (unsigned long long)f->index,
                       err->msg);
        }
        if (f->recipe->remembers && err->code != LZR_E_BUSY) {
            lzr_flight_fail(d, f, err->code, err->msg, list);
            return;
        }
        f->why = (struct lzr_why){.code = err->code,
                                  .again = err->code == LZR_E_NOMEM || err->code == LZR_E_BUSY,
                                  .cause = f->array,
                                  .text = lzr_strdup(err->msg)};
        lzr_needs_fail(d, f, list);
        return;
    }
    struct lzr_digest digest = {0, 0};
    if (!f->array->deterministic) {
        digest = lzr_digest(b->data, b->len, 0);
    }
    count(d, f, b);
    d->making--;
    lzr_flight_land(d, f, b, digest, list);
}

void lzr_task_run(struct lzr_driver *d)
{
    uint64_t one;
    if (read(d->task_fd, &one, sizeof one) != (ssize_t)sizeof one) {
        return; /* another thread has it */
    }
    pthread_mutex_lock(&d->mu);
    if (lzr_planner_turn(d)) {
        pthread_mutex_unlock(&d->mu);
        lzr_planner_slice(d);
        return;
    }
    struct lzr_flight *f = d->tasks.head;
    if (f == NULL) {
        pthread_mutex_unlock(&d->mu); /* it was copied with another one */
        return;
    }
    lzr_list_remove(&d->tasks, f);
    d->need_tasks -= f->counted;
    f->counted = false;
    if (lzr_task_waits(d, f)) {
        pthread_mutex_unlock(&d->mu);
        return;
    }
    lzr_task_do(d, f, NULL);
}

void lzr_task_do(struct lzr_driver *d, struct lzr_flight *f, struct lzr_reading *r)
{
    struct lzr_request *list = NULL;
    struct lzr_err err = {.code = LZR_OK};
    struct lzr_blob *b = NULL;
    uint64_t t0 = lzr_now_us();
    if (f->state == LZR_PREPARING) {
        lzr_prepare_run(d, f, r);
        return;
    }
    if (f->recipe == &lzr_recipe_copy) {
        lzr_copy_run(d, f);
        return;
    }
    if (f->needs == NULL && lzr_flight_unwanted(f, t0)) {
        d->making--;
        d->stats.dropped_total++;
        lzr_flight_release(d, f);
        lzr_flights_remove(&d->flights, &f); /* nobody waits any more, and nothing is lost */
        lzr_dispatch(d, &list);
        pthread_mutex_unlock(&d->mu);
        lzr_complete(list);
        return;
    }
    f->started_us = t0;
    lzr_flight_release(d, f); /* what is made is charged as it comes */
    if (r != NULL) {
        lzr_reading_begin(d, r, f, NULL);
    }
    pthread_mutex_unlock(&d->mu);
    /* Nobody frees the flight while it is MAKING, and its needs are ours: but for one that is given
     * up in a read, so such a task sees its own copy. */
    const struct lzr_recipe *recipe = f->recipe;
    enum lzr_code code = recipe->make(d, r != NULL ? &r->view : f, &b, &err);
    if (r != NULL && lzr_pulse_over(&r->pulse)) {
        lzr_reading_lost(d, r);
        return;
    }
    uint64_t us = lzr_now_us() - t0;
    bool keep = code == LZR_OK && lzr_keeps(d);
    if (keep) {
        struct lzr_chunk c = {f->array, f->level, f->encoding, f->index};
        struct lzr_cache_key k = lzr_cache_key_of(&c);
        /* A level costs what is below it, which is seldom all cached any more; an encoding of a
         * chunk costs only itself. */
        lzr_cache_put(d->cache, &k, b, us + (f->encoding == LZR_ENC_ZARR ? f->compute_us : 0));
    }
    pthread_mutex_lock(&d->mu);
    if (r != NULL) {
        lzr_reading_end(d, r);
    }
    if (keep) {
        lzr_kept(d);
    }
    lzr_needs_free(&f->needs);
    f->encode_us = us;
    lzr_task_made(d, f, code == LZR_OK ? b : NULL, &err, &list);
    lzr_dispatch(d, &list);
    pthread_mutex_unlock(&d->mu);
    lzr_complete(list);
}
