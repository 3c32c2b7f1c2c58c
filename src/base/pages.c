#include "base/pages.h"

#include <assert.h>
#include <pthread.h>
#include <stdint.h>
#include <sys/mman.h>

#include "base/check.h"
#include "base/mem.h"

#define PAGE ((size_t)4096)
#define SPAN ((size_t)16 << 20) /* aligned to itself, so that an address tells its span */

enum {
    SPAN_PAGES = SPAN / PAGE,
    HEAD_PAGES = 48,                  /* of a span, for its descriptions */
    BINS = LZR_PAGES_MOST / PAGE + 1, /* by length; the last one is for all that are longer */
    WORDS = (BINS + 63) / 64,
};

/* CLEAN: the kernel has its pages. DIRTY: they may be resident. TAKEN: not in a list, used or just
 * on its way to the kernel. */
enum state { TAKEN, CLEAN, DIRTY };

/* A run of pages. Its description is that of its first page; that of its last one holds `pages` and
 * `state` as well, for the run behind it. */
struct run {
    uint32_t pages, state;
    struct run *prev, *next;   /* in its bin */
    struct run *older, *newer; /* of the dirty ones */
};

struct span {
    struct run runs[SPAN_PAGES]; /* one a page; those of the head are not used */
};

static_assert(sizeof(struct span) <= HEAD_PAGES * PAGE, "a span's head holds its descriptions");

struct bins {
    struct run *first[BINS];
    uint64_t any[WORDS]; /* a bit for each bin that isn't empty */
};

struct lzr_pages {
    pthread_mutex_t mu;
    struct bins clean, dirty;
    struct run *oldest, *newest; /* of the dirty ones */
    size_t keep, taken, kept_pages;
    size_t nspans;
};

size_t lzr_pages_round(size_t bytes)
{
    return (bytes + PAGE - 1) / PAGE * PAGE;
}

static size_t pages_of(size_t bytes)
{
    return (bytes + PAGE - 1) / PAGE;
}

static struct span *span_of(const void *at)
{
    return (struct span *)((uintptr_t)at & ~(uintptr_t)(SPAN - 1));
}

static struct run *run_at(void *at)
{
    struct span *s = span_of(at);
    return &s->runs[((uintptr_t)at - (uintptr_t)s) / PAGE];
}

static void *address(const struct run *r)
{
    struct span *s = span_of(r);
    return (char *)s + (size_t)(r - s->runs) * PAGE;
}

/* Writes both ends of a run. */
static void mark(struct run *r, size_t pages, enum state state)
{
    r->pages = r[pages - 1].pages = (uint32_t)pages;
    r->state = r[pages - 1].state = state;
}

static struct bins *bins_of(struct lzr_pages *p, enum state state)
{
    return state == CLEAN ? &p->clean : &p->dirty;
}

static size_t bin_of(size_t pages)
{
    return pages < BINS ? pages - 1 : BINS - 1;
}

static void insert(struct lzr_pages *p, struct run *r)
{
    struct bins *b = bins_of(p, (enum state)r->state);
    size_t i = bin_of(r->pages);
    r->prev = NULL;
    r->next = b->first[i];
    if (r->next != NULL) {
        r->next->prev = r;
    }
    b->first[i] = r;
    b->any[i / 64] |= UINT64_C(1) << (i % 64);
    if (r->state == DIRTY) {
        p->kept_pages += r->pages;
        r->newer = NULL;
        r->older = p->newest;
        *(p->newest != NULL ? &p->newest->newer : &p->oldest) = r;
        p->newest = r;
    }
}

static void take_out(struct lzr_pages *p, struct run *r)
{
    struct bins *b = bins_of(p, (enum state)r->state);
    size_t i = bin_of(r->pages);
    if (r->prev != NULL) {
        r->prev->next = r->next;
    } else {
        b->first[i] = r->next;
    }
    if (r->next != NULL) {
        r->next->prev = r->prev;
    }
    if (b->first[i] == NULL) {
        b->any[i / 64] &= ~(UINT64_C(1) << (i % 64));
    }
    if (r->state == DIRTY) {
        p->kept_pages -= r->pages;
        *(r->older != NULL ? &r->older->newer : &p->oldest) = r->newer;
        *(r->newer != NULL ? &r->newer->older : &p->newest) = r->older;
    }
}

/* The shortest run of at least so many pages, or NULL. */
static struct run *find(const struct bins *b, size_t pages)
{
    size_t i = bin_of(pages);
    uint64_t word = b->any[i / 64] >> (i % 64) << (i % 64);
    for (size_t w = i / 64; w < WORDS; word = ++w < WORDS ? b->any[w] : 0) {
        if (word != 0) {
            return b->first[w * 64 + (size_t)__builtin_ctzll(word)];
        }
    }
    return NULL;
}

/* Puts a run that is in no list into one, together with neighbours of its state. */
static struct run *join(struct lzr_pages *p, struct run *r, size_t pages, enum state state)
{
    struct span *s = span_of(r);
    struct run *before = r - 1, *after = r + pages;
    if (before >= &s->runs[HEAD_PAGES] && before->state == state) {
        before -= before->pages - 1;
        take_out(p, before);
        pages += before->pages;
        r = before;
    }
    if (after < &s->runs[SPAN_PAGES] && after->state == state) {
        take_out(p, after);
        pages += after->pages;
    }
    mark(r, pages, state);
    insert(p, r);
    return r;
}

/* Gives a dirty run to the kernel. Called with the lock, which is open meanwhile. */
static void clean(struct lzr_pages *p, struct run *r)
{
    size_t pages = r->pages;
    take_out(p, r);
    mark(r, pages, TAKEN);
    LZR_ZERO(pthread_mutex_unlock(&p->mu));
    (void)madvise(address(r), pages * PAGE, MADV_DONTNEED); /* locked memory stays, and counts */
    LZR_ZERO(pthread_mutex_lock(&p->mu));
    r = join(p, r, pages, CLEAN);
    if (r->pages == SPAN_PAGES - HEAD_PAGES) {
        take_out(p, r);
        p->nspans--;
        (void)munmap(span_of(r), SPAN);
    }
}

/* Another span. With the lock. */
static bool grow(struct lzr_pages *p)
{
    char *at = mmap(NULL, 2 * SPAN, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (at == MAP_FAILED) {
        return false;
    }
    char *start = (char *)(((uintptr_t)at + SPAN - 1) & ~(uintptr_t)(SPAN - 1));
    if (start > at) {
        (void)munmap(at, (size_t)(start - at));
    }
    (void)munmap(start + SPAN, (size_t)(at + SPAN - start));
    /* A huge page would be resident as a whole, whatever is free in it. */
    (void)madvise(start, SPAN, MADV_NOHUGEPAGE);
    p->nspans++;
    struct run *r = &((struct span *)start)->runs[HEAD_PAGES];
    mark(r, SPAN_PAGES - HEAD_PAGES, CLEAN);
    insert(p, r);
    return true;
}

struct lzr_pages *lzr_pages_new(size_t keep)
{
    struct lzr_pages *p = lzr_calloc(1, sizeof *p);
    if (p != NULL) {
        p->keep = keep / PAGE;
        LZR_ZERO(pthread_mutex_init(&p->mu, NULL));
    }
    return p;
}

void lzr_pages_free(struct lzr_pages **pp)
{
    struct lzr_pages *p = *pp;
    *pp = NULL;
    if (p == NULL) {
        return;
    }
    LZR_ZERO(pthread_mutex_lock(&p->mu));
    LZR_CHECK(p->taken == 0);
    while (p->oldest != NULL) {
        clean(p, p->oldest);
    }
    for (struct run *r; (r = p->clean.first[BINS - 1]) != NULL;) { /* whole spans */
        take_out(p, r);
        p->nspans--;
        (void)munmap(span_of(r), SPAN);
    }
    LZR_CHECK(p->nspans == 0);
    LZR_ZERO(pthread_mutex_unlock(&p->mu));
    LZR_ZERO(pthread_mutex_destroy(&p->mu));
    lzr_free(p);
}

void *lzr_pages_take(struct lzr_pages *p, size_t bytes)
{
    size_t pages = pages_of(bytes);
    LZR_CHECK(pages > 0 && bytes <= LZR_PAGES_MOST);
    if (!lzr_mem_allowed()) {
        return NULL;
    }
    LZR_ZERO(pthread_mutex_lock(&p->mu));
    struct run *r = find(&p->dirty, pages);
    r = r != NULL ? r : find(&p->clean, pages);
    while (r == NULL) {
        if (p->oldest != NULL) { /* with clean neighbours it may do */
            clean(p, p->oldest);
        } else if (!grow(p)) {
            LZR_ZERO(pthread_mutex_unlock(&p->mu));
            return NULL;
        }
        r = find(&p->clean, pages);
    }
    size_t all = r->pages;
    enum state state = (enum state)r->state;
    take_out(p, r);
    mark(r, pages, TAKEN);
    if (all > pages) { /* no neighbour behind it is of its state: they were joined */
        mark(r + pages, all - pages, state);
        insert(p, r + pages);
    }
    p->taken += pages;
    LZR_ZERO(pthread_mutex_unlock(&p->mu));
    return address(r);
}

/* Takes a run back; with the lock. */
static void give_run(struct lzr_pages *p, struct run *r, size_t pages)
{
    p->taken -= pages;
    (void)join(p, r, pages, DIRTY);
    while (p->kept_pages > p->keep) {
        clean(p, p->oldest); /* what has been of no use for longest */
    }
}

void lzr_pages_cut(struct lzr_pages *p, void *at, size_t from, size_t to)
{
    size_t had = pages_of(from), has = pages_of(to);
    struct run *r = run_at(at);
    LZR_CHECK(has > 0 && has <= had);
    if (has == had) {
        return;
    }
    LZR_ZERO(pthread_mutex_lock(&p->mu));
    LZR_CHECK(r->state == TAKEN && r->pages == had);
    mark(r, has, TAKEN);
    give_run(p, r + has, had - has);
    LZR_ZERO(pthread_mutex_unlock(&p->mu));
}

void lzr_pages_give(struct lzr_pages *p, void *at, size_t bytes)
{
    struct run *r = run_at(at);
    LZR_ZERO(pthread_mutex_lock(&p->mu));
    LZR_CHECK(r->state == TAKEN && r->pages == pages_of(bytes));
    give_run(p, r, r->pages);
    LZR_ZERO(pthread_mutex_unlock(&p->mu));
}

struct lzr_pages_stats lzr_pages_stats(struct lzr_pages *p)
{
    LZR_ZERO(pthread_mutex_lock(&p->mu));
    struct lzr_pages_stats s = {.taken = p->taken * PAGE,
                                .kept = p->kept_pages * PAGE,
                                .mapped = p->nspans * SPAN};
    LZR_ZERO(pthread_mutex_unlock(&p->mu));
    return s;
}
