#include "store/channels.h"

#include <stdlib.h>
#include <string.h>

void lzr_channels_init(struct lzr_channels *c, const struct lzr_array *a)
{
    c->none = a->channels == NULL;
    if (!c->none) {
        lzr_json_iter_init(&c->it, (struct lzr_span){a->channels, strlen(a->channels)});
    }
}

static bool is_string(struct lzr_span v)
{
    return v.n >= 2 && v.p[0] == '"';
}

/* "RRGGBB" with its quotes. */
static bool read_color(struct lzr_span v, uint32_t *rgb)
{
    char text[7], *end;
    if (!is_string(v) || v.n != 8) {
        return false;
    }
    memcpy(text, v.p + 1, 6);
    text[6] = '\0';
    *rgb = (uint32_t)strtoul(text, &end, 16);
    return *end == '\0' && text[0] != '-' && text[0] != '+' && text[0] != ' ';
}

/* A number is followed by a comma or a brace: strtod ends there. */
static bool read_number(struct lzr_span object, const char *name, double *out)
{
    struct lzr_span v;
    char *end;
    if (!lzr_json_member(object, name, &v) || v.n == 0) {
        return false;
    }
    *out = strtod(v.p, &end);
    return end == v.p + v.n;
}

bool lzr_channels_next(struct lzr_channels *c, struct lzr_channel *out)
{
    struct lzr_span key, value, v;
    *out = (struct lzr_channel){.active = true};
    if (c->none || !lzr_json_next(&c->it, &key, &value)) {
        return false;
    }
    if (lzr_json_member(value, "label", &v) && is_string(v)) {
        out->label = v;
    }
    out->active = !lzr_json_member(value, "active", &v) || v.n == 0 || v.p[0] != 'f';
    out->colored = lzr_json_member(value, "color", &v) && read_color(v, &out->rgb);
    out->windowed = lzr_json_member(value, "window", &v) && read_number(v, "min", &out->min) &&
                    read_number(v, "max", &out->max) && read_number(v, "start", &out->start) &&
                    read_number(v, "end", &out->end);
    return true;
}

struct lzr_channel lzr_channel_at(const struct lzr_array *a, unsigned i)
{
    struct lzr_channels it;
    struct lzr_channel c;
    lzr_channels_init(&it, a);
    while (lzr_channels_next(&it, &c) && i-- > 0) {
    }
    return c;
}
