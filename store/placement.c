#include "store/placement.h"

#include <inttypes.h>
#include <math.h>

#include "base/buf.h"

int lzr_axis_of(const struct lzr_array *a, char letter)
{
    for (unsigned i = 0; a->kind != LZR_PLAIN && i < a->levels[0].grid.rank; i++) {
        if (a->dims[i][0] == letter) {
            return (int)i;
        }
    }
    return -1;
}

unsigned lzr_first_spatial(const struct lzr_array *a)
{
    return (unsigned)(lzr_axis_of(a, 't') >= 0) + (unsigned)(lzr_axis_of(a, 'c') >= 0);
}

static struct lzr_unit unit_of(const struct lzr_array *a, unsigned axis)
{
    return lzr_unit_of(a->units[axis]);
}

const char *lzr_spatial_symbol(const struct lzr_array *a)
{
    unsigned rank = a->levels[0].grid.rank;
    return rank > 0 ? unit_of(a, rank - 1).symbol : "";
}

/* How many of the unit that is shown are in one of the axis' own. */
static double factor_to_shown(const struct lzr_array *a, unsigned axis)
{
    struct lzr_unit own = unit_of(a, axis);
    struct lzr_unit shown = unit_of(a, a->levels[0].grid.rank - 1);
    if (axis < lzr_first_spatial(a) || !own.length || !shown.length || own.nano == shown.nano) {
        return own.factor;
    }
    return own.factor * (own.nano / shown.nano);
}

double lzr_axis_scale(const struct lzr_array *a, unsigned level, unsigned axis)
{
    return a->levels[level].scale[axis] * factor_to_shown(a, axis);
}

double lzr_axis_translation(const struct lzr_array *a, unsigned level, unsigned axis)
{
    return a->levels[level].translation[axis] * factor_to_shown(a, axis);
}

double lzr_axis_nanometres(const struct lzr_array *a, unsigned level, unsigned axis)
{
    struct lzr_unit u = unit_of(a, axis);
    return a->levels[level].scale[axis] * (u.length ? u.factor * u.nano : 1);
}

bool lzr_axis_offset(const struct lzr_array *a, unsigned level, unsigned axis, int64_t *voxels)
{
    const struct lzr_level *l = &a->levels[level], *first = &a->levels[0];
    /* Where level 0's translation would be if this level began with its first voxel: the level's
     * own is (factor - 1) / 2 finer voxels further. */
    double corner = l->translation[axis] - (l->scale[axis] - first->scale[axis]) / 2;
    double v = corner / l->scale[axis];
    if (!(fabs(v) < 1e15)) {
        return false;
    }
    *voxels = llround(v);
    return true;
}

void lzr_json_number(struct lzr_json *j, double v)
{
    if (v == rint(v) && fabs(v) < 1e15) {
        lzr_json_value(j);
        lzr_buf_printf(j->out, "%" PRId64, (int64_t)v);
    } else {
        lzr_json_real(j, v);
    }
}
