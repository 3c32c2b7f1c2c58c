#include "engine/queue.h"

#include "base/check.h"
#include "base/mem.h"
#include "engine/flight.h"

enum { MIXED = UINT32_MAX };

/* One client's flights of the arrays that hash here: newest burst first, each by arrival. */
struct lane {
    struct lzr_flight *head, *tail;
    struct lzr_flight *newest_end; /* the last of head's burst, where new ones go; NULL: unknown */
    uint64_t turn;                 /* when it last had its turn */
};

struct lzr_queue_client {
    uint64_t id;     /* of client and folder */
    uint32_t folder; /* of its flights; MIXED: of several, that share a place */
    uint64_t last_us; /* of its last request */
    uint64_t burst;   /* of that */
    uint64_t turns;
    uint32_t n;
    bool had_old; /* its last turn went to what is old: the next one doesn't */
    struct lane lanes[LZR_QUEUE_LANES];
    struct lzr_flight *oldest, *newest;   /* all of them by arrival */
    struct lzr_queue_client *prev, *next; /* while it has flights */
};

void lzr_list_push(struct lzr_list *l, struct lzr_flight *f)
{
    lzr_list_insert(l, f, NULL);
}

void lzr_list_push_front(struct lzr_list *l, struct lzr_flight *f)
{
    lzr_list_insert(l, f, l->head);
}

void lzr_list_insert(struct lzr_list *l, struct lzr_flight *f, struct lzr_flight *before)
{
    f->next = before;
    f->prev = before != NULL ? before->prev : l->tail;
    if (f->prev != NULL) {
        f->prev->next = f;
    } else {
        l->head = f;
    }
    if (before != NULL) {
        before->prev = f;
    } else {
        l->tail = f;
    }
    l->n++;
}

void lzr_list_remove(struct lzr_list *l, struct lzr_flight *f)
{
    LZR_CHECK(l->n > 0);
    if (f->prev != NULL) {
        f->prev->next = f->next;
    } else {
        l->head = f->next;
    }
    if (f->next != NULL) {
        f->next->prev = f->prev;
    } else {
        l->tail = f->prev;
    }
    f->prev = f->next = NULL;
    l->n--;
}

enum lzr_code lzr_queue_init(struct lzr_queue *q, enum lzr_order order, struct lzr_err *err)
{
    *q = (struct lzr_queue){.order = order};
    q->clients = lzr_calloc(LZR_QUEUE_CLIENTS, sizeof *q->clients);
    return q->clients != NULL ? LZR_OK : lzr_err_set(err, LZR_E_NOMEM, "no memory for a queue");
}

void lzr_queue_release(struct lzr_queue *q)
{
    lzr_free(q->clients);
    q->clients = NULL;
}

/* The client's place in the table; one that it hasn't yet is that of the client that was heard of
 * longest ago and has nothing queued, or, with all of them busy, one that it shares. */
static struct lzr_queue_client *place(struct lzr_queue *q, uint64_t id)
{
    struct lzr_queue_client *best = NULL;
    for (uint32_t i = 0; i < LZR_QUEUE_CLIENTS; i++) {
        struct lzr_queue_client *c = &q->clients[i];
        if (c->id == id && c->last_us != 0) {
            return c;
        }
        if (c->n == 0 && (best == NULL || c->last_us < best->last_us)) {
            best = c;
        }
    }
    if (best == NULL) {
        return &q->clients[id % LZR_QUEUE_CLIENTS];
    }
    *best = (struct lzr_queue_client){.id = id, .last_us = 1};
    return best;
}

/* A client's number in a folder; that of the first is its own. */
static uint64_t id_in(uint64_t client, uint32_t folder)
{
    return client ^ folder * UINT64_C(0x9E3779B97F4A7C15);
}

uint64_t lzr_queue_burst(struct lzr_queue *q, uint64_t client, uint64_t now_us)
{
    struct lzr_queue_client *c = place(q, client);
    if (c->burst == 0 || now_us - c->last_us >= LZR_BURST_PAUSE_US) {
        c->burst = ++q->last_burst;
    }
    c->last_us = now_us > 0 ? now_us : 1;
    return c->burst;
}

static void client_unlink(struct lzr_queue *q, struct lzr_queue_client *c)
{
    *(c->prev != NULL ? &c->prev->next : &q->first) = c->next;
    *(c->next != NULL ? &c->next->prev : &q->last) = c->prev;
    c->prev = c->next = NULL;
}

static void client_append(struct lzr_queue *q, struct lzr_queue_client *c)
{
    c->next = NULL;
    c->prev = q->last;
    *(q->last != NULL ? &q->last->next : &q->first) = c;
    q->last = c;
}

static struct lane *lane_of(struct lzr_queue_client *c, const struct lzr_flight *f)
{
    return &c->lanes[f->array->id % LZR_QUEUE_LANES];
}

/* The flight after which one of this burst goes; NULL: at the head. */
static struct lzr_flight *lane_before(struct lane *l, uint64_t burst)
{
    struct lzr_flight *at = NULL, *next = l->head;
    if (l->head == NULL || l->head->burst < burst) {
        return NULL;
    }
    if (l->head->burst == burst && l->newest_end != NULL) {
        return l->newest_end;
    }
    while (next != NULL && next->burst >= burst) {
        at = next;
        next = next->next;
    }
    return at;
}

static void lane_insert(struct lane *l, struct lzr_flight *f)
{
    struct lzr_flight *before = lane_before(l, f->burst);
    f->prev = before;
    f->next = before != NULL ? before->next : l->head;
    *(before != NULL ? &before->next : &l->head) = f;
    *(f->next != NULL ? &f->next->prev : &l->tail) = f;
    if (f->burst == l->head->burst) {
        l->newest_end = f;
    }
}

static void lane_remove(struct lane *l, struct lzr_flight *f)
{
    if (l->newest_end == f) {
        l->newest_end = f->prev; /* of the same burst, the newest, or nothing */
    }
    *(f->prev != NULL ? &f->prev->next : &l->head) = f->next;
    *(f->next != NULL ? &f->next->prev : &l->tail) = f->prev;
    f->prev = f->next = NULL;
}

static void enter(struct lzr_queue *q, struct lzr_flight *f)
{
    /* The orders that it is measured against know no clients. */
    struct lzr_queue_client *c =
        q->order == LZR_ORDER_BURSTS ? place(q, id_in(f->client, f->folder)) : &q->clients[0];
    c->folder = c->n == 0 || c->folder == f->folder ? f->folder : MIXED;
    f->place = c;
    lane_insert(lane_of(c, f), f);
    /* By age: one that comes back, or from another client, keeps its own, and those are few. */
    struct lzr_flight *after = c->newest;
    while (after != NULL && after->queued_us > f->queued_us) {
        after = after->older;
    }
    f->older = after;
    f->newer = after != NULL ? after->newer : c->oldest;
    *(after != NULL ? &after->newer : &c->oldest) = f;
    *(f->newer != NULL ? &f->newer->older : &c->newest) = f;
    if (c->n++ == 0) {
        client_append(q, c);
    }
}

static struct lzr_queue_client *leave(struct lzr_queue *q, struct lzr_flight *f)
{
    struct lzr_queue_client *c = f->place;
    lane_remove(lane_of(c, f), f);
    *(f->older != NULL ? &f->older->newer : &c->oldest) = f->newer;
    *(f->newer != NULL ? &f->newer->older : &c->newest) = f->older;
    f->older = f->newer = NULL;
    f->place = NULL;
    if (--c->n == 0) {
        client_unlink(q, c);
    }
    return c;
}

void lzr_queue_push(struct lzr_queue *q, struct lzr_flight *f)
{
    enter(q, f);
    f->urgent = false;
    q->nroots++;
    q->waiting[f->folder]++;
}

static void push_urgent(struct lzr_queue *q, struct lzr_flight *f, struct lzr_flight *before)
{
    f->urgent = true;
    lzr_list_insert(&q->urgent, f, before);
    q->waiting[f->folder]++;
    q->urgent_of[f->folder]++;
}

void lzr_queue_push_urgent(struct lzr_queue *q, struct lzr_flight *f)
{
    push_urgent(q, f, NULL);
}

void lzr_queue_push_front(struct lzr_queue *q, struct lzr_flight *f)
{
    push_urgent(q, f, q->urgent.head);
}

void lzr_queue_renew(struct lzr_queue *q, struct lzr_flight *f, uint64_t client, uint64_t burst)
{
    if (f->urgent || burst <= f->burst) {
        return;
    }
    (void)leave(q, f);
    f->client = client;
    f->burst = burst;
    enter(q, f);
}

/* A newer burst than this flight's waits. */
static bool is_outdated(const struct lzr_queue_client *c, const struct lzr_flight *f)
{
    bool outdated = false;
    for (unsigned i = 0; i < LZR_QUEUE_LANES; i++) {
        const struct lzr_flight *head = c->lanes[i].head;
        outdated = outdated || (head != NULL && head->burst > f->burst);
    }
    return outdated;
}

static void drop(struct lzr_queue *q, struct lzr_flight *f, bool served)
{
    LZR_CHECK(q->waiting[f->folder] > 0);
    q->waiting[f->folder]--;
    if (f->urgent) {
        q->urgent_of[f->folder]--;
        lzr_list_remove(&q->urgent, f);
        return;
    }
    LZR_CHECK(q->nroots > 0);
    q->nroots--;
    struct lzr_queue_client *c = leave(q, f);
    if (served) {
        lane_of(c, f)->turn = ++c->turns;
        /* After a turn of the old comes one of the new, also where none of the newest burst's may
         * have it. */
        c->had_old = !c->had_old && is_outdated(c, f);
        if (c->n > 0) {
            client_unlink(q, c);
            client_append(q, c);
        }
    }
}

void lzr_queue_remove(struct lzr_queue *q, struct lzr_flight *f)
{
    drop(q, f, false);
}

void lzr_queue_pass(struct lzr_queue *q)
{
    q->run = q->run >= LZR_URGENT_RUN ? LZR_URGENT_RUN - LZR_URGENT_SHARE : 0;
}

void lzr_queue_take(struct lzr_queue *q, struct lzr_flight *f)
{
    q->was_urgent = f->urgent;
    if (!f->urgent) {
        lzr_queue_pass(q);
    } else if (q->nroots == 0) {
        q->run = 0;
    } else if (q->run < LZR_URGENT_RUN) {
        q->run++;
    }
    drop(q, f, true);
}

bool lzr_queue_turn(const struct lzr_queue *q, uint64_t now_us)
{
    if (q->nroots == 0 || !q->was_urgent || q->run >= LZR_URGENT_RUN) {
        return q->nroots > 0 && q->was_urgent;
    }
    uint64_t since = now_us;
    for (const struct lzr_queue_client *c = q->first; c != NULL; c = c->next) {
        since = c->oldest->queued_us < since ? c->oldest->queued_us : since;
    }
    return now_us - since >=
           (q->run >= LZR_URGENT_SHARE ? LZR_URGENT_LONG_US : LZR_URGENT_TOO_LONG_US);
}

static bool fits(struct lzr_filter filter, const struct lzr_flight *f)
{
    return (filter.folder == 0 || f->folder + 1 == filter.folder) &&
           (filter.fits == NULL || filter.fits(filter.ctx, f));
}

/* None of its flights can fit. */
static bool is_elsewhere(struct lzr_filter filter, const struct lzr_queue_client *c)
{
    return filter.folder != 0 && c->folder != MIXED && c->folder + 1 != filter.folder;
}

/* The first of a lane that may have its turn. */
static struct lzr_flight *lane_next(const struct lane *l, struct lzr_filter filter)
{
    struct lzr_flight *f = l->head;
    for (unsigned i = 0; f != NULL && !fits(filter, f); i++) {
        f = i < LZR_QUEUE_LOOK ? f->next : NULL;
    }
    return f;
}

/* Of the lane of the newest burst whose turn is longest ago. */
static struct lzr_flight *client_next(const struct lzr_queue_client *c, struct lzr_filter filter)
{
    struct lzr_flight *best = NULL;
    uint64_t turn = 0;
    for (unsigned i = 0; i < LZR_QUEUE_LANES; i++) {
        const struct lane *l = &c->lanes[i];
        struct lzr_flight *f = lane_next(l, filter);
        if (f != NULL &&
            (best == NULL || f->burst > best->burst ||
             (f->burst == best->burst &&
              (l->turn < turn || (l->turn == turn && f->queued_us < best->queued_us))))) {
            best = f;
            turn = l->turn;
        }
    }
    return best;
}

uint32_t lzr_queue_n(const struct lzr_queue *q)
{
    return q->urgent.n + q->nroots;
}

/* A client's oldest that may have its turn, or its newest. */
static struct lzr_flight *by_age(const struct lzr_queue_client *c, bool oldest,
                                 struct lzr_filter filter)
{
    struct lzr_flight *f = oldest ? c->oldest : c->newest;
    for (unsigned i = 0; f != NULL && !fits(filter, f); i++) {
        f = i >= LZR_QUEUE_LOOK ? NULL : oldest ? f->newer : f->older;
    }
    return f;
}

struct lzr_flight *lzr_queue_root(const struct lzr_queue *q, uint64_t now_us,
                                  struct lzr_filter filter)
{
    for (const struct lzr_queue_client *c = q->first; c != NULL; c = c->next) {
        if (is_elsewhere(filter, c)) {
            continue;
        }
        struct lzr_flight *f = by_age(c, q->order != LZR_ORDER_NEWEST, filter);
        /* None of the oldest that were looked at fits: another array's may all the same. */
        if (q->order == LZR_ORDER_BURSTS &&
            (f != NULL ? c->had_old || now_us < f->queued_us + LZR_QUEUE_PATIENCE_US
                       : c->n > LZR_QUEUE_LOOK)) {
            struct lzr_flight *newer = client_next(c, filter);
            f = newer != NULL ? newer : f; /* it doesn't look at all of a row */
        }
        if (f != NULL) {
            return f;
        }
    }
    return NULL;
}

/* The retry that a worker which has run nothing is there for; they stand at the front. */
static struct lzr_flight *retry_next(const struct lzr_queue *q, struct lzr_filter filter)
{
    struct lzr_flight *f = q->urgent.head;
    for (unsigned i = 0; f != NULL && !(f->needs_fresh && fits(filter, f)); i++) {
        f = i >= LZR_QUEUE_LOOK ? NULL : f->next;
    }
    return f;
}

struct lzr_flight *lzr_queue_next(const struct lzr_queue *q, bool fresh, uint64_t now_us,
                                  struct lzr_filter filter)
{
    /* Before all others, whose turn it may be: given something else, the worker is fresh no more,
     * and the retry waits for the next that dies. */
    struct lzr_flight *f = fresh ? retry_next(q, filter) : NULL;
    if (f != NULL) {
        return f;
    }
    f = q->urgent.head;
    /* Retries stand at the front, so this looks at no more than they are, and those that are passed
     * over. */
    while (f != NULL &&
           ((f->needs_fresh && !fresh && now_us < f->fresh_until_us) || !fits(filter, f))) {
        f = f->next;
    }
    if (f == NULL || lzr_queue_turn(q, now_us)) {
        struct lzr_flight *root = lzr_queue_root(q, now_us, filter);
        /* One that has to be started first has had its turn to start (needs.c), but no room. */
        f = f == NULL || (root != NULL && !root->unstarted) ? root : f;
    }
    return f != NULL && f->unstarted ? NULL : f;
}

const struct lzr_flight *lzr_queue_oldest(const struct lzr_queue *q, struct lzr_filter filter)
{
    const struct lzr_flight *oldest = NULL;
    for (const struct lzr_flight *f = q->urgent.head; f != NULL; f = f->next) {
        if ((oldest == NULL || f->queued_us < oldest->queued_us) && fits(filter, f)) {
            oldest = f;
        }
    }
    for (const struct lzr_queue_client *c = q->first; c != NULL; c = c->next) {
        const struct lzr_flight *f = is_elsewhere(filter, c) ? NULL : by_age(c, true, filter);
        oldest = f != NULL && (oldest == NULL || f->queued_us < oldest->queued_us) ? f : oldest;
    }
    return oldest;
}

struct lzr_flight *lzr_queue_victim(const struct lzr_queue *q, uint64_t client, uint32_t folder)
{
    const struct lzr_queue_client *most = q->first;
    const struct lzr_flight *last = NULL;
    uint32_t mine = 0;
    for (const struct lzr_queue_client *c = q->first; c != NULL; c = c->next) {
        most = c->n > most->n ? c : most;
        mine = c->id == id_in(client, folder) ? c->n : mine;
    }
    if (most == NULL || most->n <= mine + 1) {
        return NULL;
    }
    for (unsigned i = 0; i < LZR_QUEUE_LANES; i++) {
        const struct lzr_flight *tail = most->lanes[i].tail;
        if (tail != NULL && (last == NULL || tail->burst < last->burst ||
                             (tail->burst == last->burst && tail->queued_us > last->queued_us))) {
            last = tail;
        }
    }
    return (struct lzr_flight *)(uintptr_t)last;
}
