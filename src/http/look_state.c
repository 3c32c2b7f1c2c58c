/* A look as Neuroglancer's state: dimensions, position, zoom, layers and their shaders. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "http/look.h"
#include "store/channels.h"
#include "store/json_span.h"
#include "store/json_writer.h"
#include "store/placement.h"
#include "store/units.h"

/* A panel as it is in a window of medium size, in pixels; what fits there fits larger ones. */
enum { PANEL_WIDTH = 460, PANEL_HEIGHT = 330, ALONE_WIDTH = 900, ALONE_HEIGHT = 600 };
/* More chunks than this in one panel are not asked for by opening a link: it begins zoomed in. */
enum { MAX_CHUNKS_SHOWN = 256 };
enum { MAX_AXES = LZR_MAX_RANK + 4, MAX_STATE = 1 << 20 };

/* Of the world, in m, s or nothing. A layer's own axis has the same form. */
struct axis {
    struct lzr_span name; /* JSON, with its quotes */
    const char *unit;
    double scale, low, high;   /* of the layers together: the finest voxel, from border to border */
    double own_scale, own_low; /* of the first layer that has it */
    uint64_t own_voxels;
    double chunk; /* of the first layer that has it, the length of its coarsest level's */
    bool hidden;  /* no layer that is switched on has it */
};

/* Those that are switched on come first, and say what is fitted; what is off at first only has its
 * axes here, and makes voxels finer. */
struct space {
    struct axis axes[MAX_AXES];
    size_t n;
    bool hidden; /* what is added now is switched off */
};

static void set_extent(struct axis *x, const struct lzr_array *a, unsigned i, double scale,
                       double low)
{
    const struct lzr_level *last = &a->levels[a->nlevels - 1];
    uint64_t n = a->levels[0].grid.shape[i];
    x->scale = x->own_scale = scale;
    x->low = x->own_low = low;
    x->high = low + scale * (double)n;
    x->own_voxels = n;
    x->chunk = (double)last->grid.chunks[i] * scale * (last->scale[i] / a->levels[0].scale[i]);
}

static void precomputed_axis(const struct lzr_array *a, unsigned i, struct axis *x)
{
    int64_t offset = 0;
    double scale = lzr_axis_nanometres(a, 0, i) / 1e9;
    (void)lzr_axis_offset(a, 0, i, &offset);
    x->unit = "m";
    set_extent(x, a, i, scale, scale * (double)offset);
}

/* OME-Zarr's translation is the centre of voxel 0, and Neuroglancer counts from its border. */
static void zarr_axis(const struct lzr_array *a, unsigned i, struct axis *x)
{
    struct lzr_unit u = lzr_unit_of(a->units[i]);
    double si = *u.symbol != '\0' ? u.factor * u.nano / 1e9 : 1;
    double scale = a->levels[0].scale[i] * si;
    x->unit = *u.symbol == '\0' ? "" : u.length ? "m" : "s";
    set_extent(x, a, i, scale, a->levels[0].translation[i] * si - scale / 2);
}

/* An image's axis of that letter; precomputed gives a 2-D image a z of one voxel. */
static bool image_axis(const struct lzr_look *look, const struct lzr_array *a, const char *letter,
                       struct axis *x)
{
    int i = lzr_axis_of(a, letter[1]);
    *x = (struct axis){.name = {letter, 3}};
    if (i < 0) {
        if (look->face != LZR_FACE_PRECOMPUTED || letter[1] != 'z') {
            return false;
        }
        double size = lzr_axis_nanometres(a, 0, a->levels[0].grid.rank - 1) / 1e9;
        *x = (struct axis){.name = {letter, 3},
                           .unit = "m",
                           .scale = size,
                           .own_scale = size,
                           .high = size,
                           .own_voxels = 1,
                           .chunk = size};
        return true;
    }
    if (look->face == LZR_FACE_PRECOMPUTED) {
        precomputed_axis(a, (unsigned)i, x);
    } else {
        zarr_axis(a, (unsigned)i, x);
    }
    return true;
}

/* The axis of that name, or NULL. */
static const struct axis *axis_of(const struct space *s, struct lzr_span name)
{
    for (size_t i = 0; i < s->n; i++) {
        const struct axis *x = &s->axes[i];
        if (x->name.n == name.n && memcmp(x->name.p, name.p, name.n) == 0) {
            return x;
        }
    }
    return NULL;
}

static void merge(struct space *s, const struct axis *x)
{
    const struct axis *there = axis_of(s, x->name);
    if (there == NULL) {
        if (s->n < MAX_AXES) {
            s->axes[s->n] = *x;
            s->axes[s->n++].hidden = s->hidden;
        }
        return;
    }
    struct axis *w = &s->axes[there - s->axes];
    w->scale = fmin(w->scale, x->scale);
    if (!s->hidden || w->hidden) {
        w->low = fmin(w->low, x->low);
        w->high = fmax(w->high, x->high);
    }
}

static void add_image(const struct lzr_look *look, const struct lzr_array *a, struct space *s)
{
    static const char *const letters[] = {"\"x\"", "\"y\"", "\"z\"", "\"t\""};
    for (size_t i = 0; i < sizeof letters / sizeof letters[0]; i++) {
        struct axis x;
        if (image_axis(look, a, letters[i], &x)) {
            merge(s, &x);
        }
    }
}

/* A plain array's axes: voxels of no unit from 0 in Zarr, of 1 nm in precomputed; the fastest is
 * shown across the screen. */
static void add_plain(const struct lzr_look *look, const struct lzr_array *a, struct lzr_span names,
                      struct space *s)
{
    static const char *const letters[] = {"\"x\"", "\"y\"", "\"z\""};
    unsigned rank = a->levels[0].grid.rank;
    struct lzr_span name[LZR_MAX_RANK] = {0}, key;
    struct lzr_json_iter it;
    lzr_json_iter_init(&it, names);
    for (unsigned i = 0; i < rank && lzr_json_next(&it, &key, &name[i]); i++) {
    }
    for (unsigned k = 0; k < rank; k++) {
        unsigned i = rank - 1 - k;
        struct axis x = {.name = name[i], .unit = ""};
        if (look->face == LZR_FACE_PRECOMPUTED && k < 3) {
            x.name = (struct lzr_span){letters[k], 3};
            precomputed_axis(a, i, &x);
        } else {
            set_extent(&x, a, i, 1, 0);
        }
        if (x.name.n > 0) {
            merge(s, &x);
        }
    }
    struct axis z;
    if (look->face == LZR_FACE_PRECOMPUTED && rank == 2 && image_axis(look, a, "\"z\"", &z)) {
        merge(s, &z);
    }
}

static struct lzr_span dimension_names(const struct lzr_look *look, const struct lzr_array *a)
{
    struct lzr_span names = {"[]", 2};
    struct lzr_buf key;
    lzr_buf_init(&key, LZR_MAX_KEY);
    lzr_array_key(&key, a, LZR_FACE_ZARR3, true);
    lzr_buf_puts(&key, "/zarr.json");
    struct lzr_hit hit = lzr_catalog_lookup(look->catalog, key.data, key.len);
    if (hit.node == LZR_NODE_DOC) {
        (void)lzr_json_member((struct lzr_span){hit.doc->data, hit.doc->len}, "dimension_names",
                              &names);
    }
    lzr_buf_release(&key);
    return names;
}

/* Whether a layer is switched on at first. */
static bool is_on(const struct lzr_look *look, size_t at)
{
    const struct lzr_look_layer *l = &look->layers[at];
    if (l->array->kind == LZR_LABELS) {
        return true;
    }
    return at < LZR_LOOK_VISIBLE &&
           lzr_channel_at(l->array, l->channel < 0 ? 0 : (unsigned)l->channel).active;
}

static bool any_on(const struct lzr_look *look, size_t n)
{
    bool any = false;
    for (size_t i = 0; i < n && !any; i++) {
        any = is_on(look, i);
    }
    return any;
}

static void add_layer(const struct lzr_look *look, size_t at, struct space *s)
{
    const struct lzr_array *a = look->layers[at].array;
    if (a->kind == LZR_PLAIN) {
        add_plain(look, a, dimension_names(look, a), s);
    } else {
        add_image(look, a, s);
    }
}

/* The space of the first n layers; where all are off, of all as if they were on. */
static void measure(const struct lzr_look *look, size_t n, struct space *s)
{
    bool any = any_on(look, n);
    for (int pass = 0; pass < 2; pass++) {
        s->hidden = any && pass == 1;
        for (size_t i = 0; i < n; i++) {
            if ((any && !is_on(look, i)) == (pass == 1)) {
                add_layer(look, i, s);
            }
        }
    }
}

/* Neuroglancer shows any name, but reads few of them in a state; names are JSON, in quotes. */
static bool names_ok(const struct space *s)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
    for (size_t i = 0; i < s->n; i++) {
        struct lzr_span name = s->axes[i].name;
        if (name.n < 3 || strchr(letters, name.p[1]) == NULL) {
            return false;
        }
        for (size_t k = 1; k + 1 < name.n; k++) {
            if (name.p[k] == '\0' ||
                (strchr(letters, name.p[k]) == NULL && strchr("0123456789_", name.p[k]) == NULL)) {
                return false;
            }
        }
    }
    return s->n > 0;
}

/* How many axes are on the screen. */
static size_t shown_axes(const struct space *s)
{
    size_t n = s->n < 3 ? s->n : 3;
    while (n > 1 && s->axes[n - 1].hidden) {
        n--;
    }
    return n == 3 && s->axes[2].own_voxels == 1 && s->axes[2].unit[0] != '\0' &&
                   s->axes[2].high - s->axes[2].low <= s->axes[2].scale * 1.5
               ? 2
               : n;
}

static double voxel(const struct space *s, size_t shown)
{
    double v = s->axes[0].scale;
    for (size_t i = 1; i < shown; i++) {
        v = fmin(v, s->axes[i].scale);
    }
    return v;
}

static const unsigned panels[3][2] = {{0, 1}, {0, 2}, {2, 1}};

static size_t panels_of(size_t shown)
{
    return shown == 3 ? 3 : 1;
}

/* A panel's side in pixels: 0 across, 1 down. */
static double side(size_t shown, unsigned i)
{
    return i == 0 ? shown == 3 ? PANEL_WIDTH : ALONE_WIDTH
                  : shown == 3 ? PANEL_HEIGHT : ALONE_HEIGHT;
}

/* The most chunks of one layer's coarsest level that a panel of the whole shows where a pixel has
 * this size. */
static double chunks_seen(const struct space *s, size_t shown, const struct space *layer,
                          double pixel)
{
    double most = 1;
    for (size_t p = 0; p < panels_of(shown); p++) {
        double chunks = 1;
        for (unsigned i = 0; i < 2; i++) {
            const struct axis *x = axis_of(layer, s->axes[panels[p][i]].name);
            if (x != NULL) {
                double seen = fmin(x->high - x->low, pixel * side(shown, i));
                chunks *= fmax(1, seen / x->chunk);
            }
        }
        most = fmax(most, chunks);
    }
    return most;
}

/* Voxels a pixel at which all of it is seen in every panel, or as much of it as has not too many
 * chunks of any layer. */
static double fit(const struct lzr_look *look, size_t n, const struct space *s, size_t shown)
{
    double v = voxel(s, shown), zoom = 0;
    if (shown < 2) {
        return (s->axes[0].high - s->axes[0].low) / v / ALONE_WIDTH;
    }
    for (size_t p = 0; p < panels_of(shown); p++) {
        for (unsigned i = 0; i < 2; i++) {
            const struct axis *x = &s->axes[panels[p][i]];
            zoom = fmax(zoom, (x->high - x->low) / v / side(shown, i));
        }
    }
    bool any = any_on(look, n);
    for (size_t l = 0; l < n; l++) {
        struct space layer = {.n = 0};
        if (any && !is_on(look, l)) {
            continue;
        }
        add_layer(look, l, &layer);
        if (chunks_seen(s, shown, &layer, zoom * v) <= MAX_CHUNKS_SHOWN) {
            continue;
        }
        double low = 0, high = zoom; /* what is seen grows with what a pixel is */
        for (int i = 0; i < 40; i++) {
            double middle = (low + high) / 2;
            if (chunks_seen(s, shown, &layer, middle * v) <= MAX_CHUNKS_SHOWN) {
                low = middle;
            } else {
                high = middle;
            }
        }
        zoom = low;
    }
    return zoom;
}

/* The middle of the whole, in the middle of a voxel of the first layer. Time begins at its start.
 */
static double place(const struct axis *x, bool on_screen)
{
    double middle = (x->low + x->high) / 2, i = 0;
    if (on_screen) {
        i = floor((middle - x->own_low) / x->own_scale + 1e-6);
        if (i < 0 || i >= (double)x->own_voxels) {
            return middle / x->scale;
        }
    }
    return (x->own_low + (i + 0.5) * x->own_scale) / x->scale;
}

static void write_space(struct lzr_json *j, const struct lzr_look *look, size_t n,
                        const struct space *s)
{
    size_t shown = shown_axes(s);
    lzr_json_key(j, "dimensions");
    lzr_json_open(j, '{');
    for (size_t i = 0; i < s->n; i++) {
        lzr_json_raw(j, s->axes[i].name.p, s->axes[i].name.n);
        lzr_buf_putc(j->out, ':');
        j->comma = false;
        lzr_json_open(j, '[');
        lzr_json_real(j, s->axes[i].scale);
        lzr_json_string(j, s->axes[i].unit);
        lzr_json_close(j, ']');
    }
    lzr_json_close(j, '}');
    lzr_json_key(j, "position");
    lzr_json_open(j, '[');
    for (size_t i = 0; i < s->n; i++) {
        lzr_json_real(j, rint(place(&s->axes[i], i < 3) * 1e4) / 1e4);
    }
    lzr_json_close(j, ']');
    double zoom = fit(look, n, s, shown);
    lzr_json_key(j, "crossSectionScale");
    lzr_json_value(j);
    lzr_buf_printf(j->out, "%.4g", zoom);
    lzr_json_key(j, "projectionScale");
    lzr_json_value(j);
    lzr_buf_printf(j->out, "%.4g", zoom * PANEL_HEIGHT * 1.5);
    lzr_json_key(j, "layout");
    lzr_json_string(j, shown == 3 ? "4panel" : "xy");
}

static void write_name(struct lzr_json *j, const struct lzr_look *look,
                       const struct lzr_look_layer *l, const struct lzr_channel *c)
{
    lzr_json_key(j, "name");
    lzr_json_value(j);
    /* Names of stores and arrays need no escaping; a label is JSON already. */
    lzr_buf_printf(j->out, "\"%s%s%s", look->store == NULL ? l->array->store->name : "",
                   look->store == NULL ? "/" : "", l->array->path);
    if (l->channel >= 0 && c->label.n > 2 && c->label.n <= 66) {
        lzr_buf_putc(j->out, ' ');
        lzr_buf_add(j->out, c->label.p + 1, c->label.n - 2);
    } else if (l->channel >= 0) {
        lzr_buf_printf(j->out, " %d", l->channel);
    }
    lzr_buf_putc(j->out, '"');
    j->comma = true;
}

static void write_source(struct lzr_json *j, const struct lzr_look *look,
                         const struct lzr_look_layer *l, const char *base)
{
    lzr_json_key(j, "source");
    lzr_json_value(j);
    lzr_buf_printf(j->out, "\"%s://%s/",
                   look->face == LZR_FACE_PRECOMPUTED ? "precomputed" : "zarr3", base);
    lzr_array_key(j->out, l->array, look->face, false);
    lzr_buf_printf(j->out, "%s/\"", l->cast ? lzr_view_cast(l->array) : "");
    j->comma = true;
}

/* A range in the numbers of the type that Neuroglancer sees. */
static void write_range(struct lzr_buf *b, const struct lzr_look_layer *l)
{
    struct lzr_dtype d = l->array->dtype;
    double low = 0, high = 1;
    if (d.kind == 'f') {
        if (l->range.known) {
            low = l->range.low;
            high = l->range.high;
        }
        lzr_buf_printf(b, "[%.7g,%.7g]", low, high);
        return;
    }
    if (d.kind == 'u' || d.kind == 'i') {
        unsigned bits = d.size * 8u - (d.kind == 'i' && !l->cast);
        double least = d.kind == 'i' && !l->cast ? -ldexp(1, (int)bits) : 0;
        double most = bits == 64 ? 9007199254740992.0 : ldexp(1, (int)bits) - 1;
        low = l->range.known ? fmax(least, floor(l->range.low)) : least;
        high = l->range.known ? fmin(most, ceil(l->range.high)) : most;
        high = high <= low ? low + 1 : high;
    }
    lzr_buf_printf(b, "[%.0f,%.0f]", low, high);
}

static void write_shader(struct lzr_json *j, const struct lzr_look *look,
                         const struct lzr_look_layer *l, const char *color)
{
    struct lzr_buf code;
    lzr_buf_init(&code, 1024);
    lzr_buf_puts(&code, "#uicontrol invlerp normalized(range=");
    write_range(&code, l);
    if (l->channel >= 0 && look->face == LZR_FACE_PRECOMPUTED) {
        lzr_buf_printf(&code, ",channel=[%d]", l->channel);
    }
    lzr_buf_puts(&code, ")\n");
    if (color != NULL) {
        lzr_buf_printf(&code,
                       "#uicontrol vec3 color color(default=\"#%s\")\n"
                       "void main(){emitRGB(color*normalized());}",
                       color);
    } else {
        lzr_buf_puts(&code, "void main(){emitGrayscale(normalized());}");
    }
    lzr_json_key(j, "shader");
    lzr_json_string_n(j, code.data, code.len);
    lzr_buf_release(&code);
}

static void write_layer(struct lzr_json *j, const struct lzr_look *look, size_t at, size_t images,
                        const char *base)
{
    static const char *const colors[] = {"00ff00", "ff00ff", "00ffff",
                                         "ffff00", "ff0000", "0000ff"};
    const struct lzr_look_layer *l = &look->layers[at];
    struct lzr_channel c = lzr_channel_at(l->array, l->channel < 0 ? 0 : (unsigned)l->channel);
    char color[8] = "";
    lzr_json_open(j, '{');
    lzr_json_key(j, "type");
    lzr_json_string(j, l->array->kind == LZR_LABELS ? "segmentation" : "image");
    write_source(j, look, l, base);
    write_name(j, look, l, &c);
    if (l->array->kind != LZR_LABELS) {
        if (c.colored) {
            (void)snprintf(color, sizeof color, "%06X", (unsigned)c.rgb);
        } else if (images > 1 && (at > 0 || l->channel >= 0)) {
            (void)snprintf(color, sizeof color, "%s",
                           colors[(at + 6 - (l->channel < 0)) % (sizeof colors / sizeof *colors)]);
        }
        if (l->channel >= 0 && look->face == LZR_FACE_ZARR3) {
            lzr_json_key(j, "localDimensions");
            lzr_json_raw(j, "{\"c'\":[1,\"\"]}", 13);
            lzr_json_key(j, "localPosition");
            lzr_json_open(j, '[');
            lzr_json_int(j, l->channel);
            lzr_json_close(j, ']');
        }
        lzr_json_key(j, "opacity");
        lzr_json_int(j, 1);
        if (at > 0) {
            lzr_json_key(j, "blend");
            lzr_json_string(j, "additive");
        }
        write_shader(j, look, l, color[0] != '\0' && strcmp(color, "FFFFFF") != 0 ? color : NULL);
        if (!is_on(look, at)) {
            lzr_json_key(j, "visible");
            lzr_json_bool(j, false);
        }
    }
    lzr_json_close(j, '}');
}

static void write_state(struct lzr_buf *out, const struct lzr_look *look, size_t n,
                        const char *base)
{
    struct lzr_json j;
    struct space s = {.n = 0};
    size_t images = 0;
    for (size_t i = 0; i < n; i++) {
        const struct lzr_array *a = look->layers[i].array;
        images += a->kind != LZR_LABELS;
    }
    measure(look, n, &s);
    lzr_json_init(&j, out);
    lzr_json_open(&j, '{');
    if (names_ok(&s)) {
        write_space(&j, look, n, &s);
    } /* else it places itself, a voxel a pixel */
    lzr_json_key(&j, "layers");
    lzr_json_open(&j, '[');
    for (size_t i = 0; i < n; i++) {
        write_layer(&j, look, i, images, base);
    }
    lzr_json_close(&j, ']');
    /* A browser aborts a request only for a better one when all of these are taken: few, so that
     * what is out of sight makes room at once. */
    lzr_json_key(&j, "concurrentDownloads");
    lzr_json_int(&j, 8);
    lzr_json_close(&j, '}');
}

void lzr_look_state(struct lzr_buf *out, const struct lzr_look *look, const char *base)
{
    write_state(out, look, look->n, base);
}

/* As a fragment may hold it (RFC 3986); an apostrophe or a quote would end an HTML attribute. */
static void put_encoded(struct lzr_buf *out, const char *text, size_t n)
{
    static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
                                "-._~:/?@!$()*+,;=";
    for (size_t i = 0; i < n; i++) {
        if (text[i] != '\0' && strchr(plain, text[i]) != NULL) {
            lzr_buf_putc(out, text[i]);
        } else {
            lzr_buf_printf(out, "%%%02X", (unsigned)(unsigned char)text[i]);
        }
    }
}

void lzr_look_url(struct lzr_buf *out, const struct lzr_look *look, const char *base,
                  const char *neuroglancer)
{
    struct lzr_buf state, url;
    lzr_buf_init(&state, MAX_STATE);
    lzr_buf_init(&url, 3 * (size_t)MAX_STATE);
    for (size_t n = look->n; n > 0; n--) {
        lzr_buf_clear(&state);
        lzr_buf_clear(&url);
        write_state(&state, look, n, base);
        lzr_buf_printf(&url, "%.*s#!", (int)strcspn(neuroglancer, "#"), neuroglancer);
        put_encoded(&url, state.data, state.len);
        if (lzr_buf_failed(&state) || lzr_buf_failed(&url) || url.len <= LZR_LOOK_URL_BYTES) {
            break;
        }
    }
    if (lzr_buf_failed(&state)) {
        url.failed = true;
    }
    if (url.failed) {
        out->failed = true;
    } else {
        lzr_buf_add(out, url.data, url.len);
    }
    lzr_buf_release(&state);
    lzr_buf_release(&url);
}
