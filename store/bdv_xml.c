/* BigDataViewer's dataset.xml and dataset.settings.xml. */
#include <inttypes.h>
#include <string.h>

#include "base/buf.h"
#include "store/bdv.h"
#include "store/channels.h"
#include "store/placement.h"
#include "store/real.h"
#include "store/xml_text.h"

static uint64_t length_of(const struct lzr_array *a, char letter)
{
    int axis = lzr_axis_of(a, letter);
    return axis < 0 ? 1 : a->levels[0].grid.shape[axis];
}

double lzr_bdv_size(const struct lzr_array *a, unsigned i)
{
    unsigned rank = a->levels[0].grid.rank, spatial = rank - lzr_first_spatial(a);
    return lzr_axis_scale(a, 0, rank - 1 - (i < spatial ? i : 0));
}

static double place_of(const struct lzr_array *a, unsigned i)
{
    unsigned rank = a->levels[0].grid.rank, spatial = rank - lzr_first_spatial(a);
    return i < spatial ? lzr_axis_translation(a, 0, rank - 1 - i) : 0;
}

static const char *unit_text(const struct lzr_array *a)
{
    const char *symbol = lzr_spatial_symbol(a);
    return *symbol != '\0' ? symbol : "pixel";
}

static void put_real(struct lzr_buf *out, double v)
{
    char text[LZR_REAL_TEXT];
    lzr_real_text(v, 64, text);
    lzr_buf_puts(out, text);
}

static void put_sizes(struct lzr_buf *out, const struct lzr_array *a)
{
    lzr_buf_puts(out, "        <size>");
    for (unsigned i = 0; i < 3; i++) {
        unsigned rank = a->levels[0].grid.rank, spatial = rank - lzr_first_spatial(a);
        uint64_t n = i < spatial ? a->levels[0].grid.shape[rank - 1 - i] : 1;
        lzr_buf_printf(out, "%s%" PRIu64, i > 0 ? " " : "", n);
    }
    lzr_buf_printf(out, "</size>\n        <voxelSize><unit>%s</unit><size>", unit_text(a));
    for (unsigned i = 0; i < 3; i++) {
        lzr_buf_puts(out, i > 0 ? " " : "");
        put_real(out, lzr_bdv_size(a, i));
    }
    lzr_buf_puts(out, "</size></voxelSize>\n");
}

/* A channel's label, or its number. */
static void put_label(struct lzr_buf *out, const struct lzr_channel *c, uint64_t s)
{
    if (c->label.n > 2) {
        lzr_xml_json_string(out, c->label);
    } else {
        lzr_buf_printf(out, "%" PRIu64, s);
    }
}

/* What a viewer shows of a channel: its own window, else all that the type holds, of floats 0 to 1.
 */
static void put_display(struct lzr_buf *out, const struct lzr_channel *c, uint64_t s)
{
    uint32_t rgb = c->colored ? c->rgb : 0xffffff;
    lzr_buf_printf(out,
                   "        <Displaysettings><id>%" PRIu64 "</id><isset>true</isset>"
                   "<color>%u %u %u 255</color><min>",
                   s, (unsigned)(rgb >> 16), (unsigned)(rgb >> 8 & 0xff), (unsigned)(rgb & 0xff));
    put_real(out, c->start);
    lzr_buf_puts(out, "</min><max>");
    put_real(out, c->end);
    lzr_buf_puts(out, "</max><Projection_Mode>Sum</Projection_Mode></Displaysettings>\n");
}

/* Colours and windows, as Fiji's BigDataViewer-Playground reads them; whoever doesn't know the
 * attribute finds the plain entities that the specification asks for. */
static void put_displays(struct lzr_buf *out, const struct lzr_array *a)
{
    struct lzr_channels it;
    struct lzr_channel c;
    lzr_buf_puts(out, "      <Attributes name=\"displaysettings\">\n");
    lzr_channels_init(&it, a);
    for (uint64_t s = 0; s < length_of(a, 'c'); s++) {
        (void)lzr_channels_next(&it, &c);
        lzr_buf_printf(out, "        <displaysettings><id>%" PRIu64 "</id></displaysettings>\n", s);
        put_display(out, &c, s);
    }
    lzr_buf_puts(out, "      </Attributes>\n");
}

static void put_setup(struct lzr_buf *out, const struct lzr_array *a, const struct lzr_channel *c,
                      uint64_t s)
{
    const char *slash = strrchr(a->path, '/');
    const char *name = slash != NULL ? slash + 1 : a->path; /* nothing in it needs escaping */
    lzr_buf_printf(out, "      <ViewSetup>\n        <id>%" PRIu64 "</id>\n        <name>%s", s,
                   name);
    if (c->label.n > 2 && a->channels != NULL) {
        lzr_buf_putc(out, ' ');
        put_label(out, c, s);
    } else if (length_of(a, 'c') > 1) {
        lzr_buf_printf(out, " channel %" PRIu64, s);
    }
    lzr_buf_puts(out, "</name>\n");
    put_sizes(out, a);
    lzr_buf_printf(out, "        <attributes><channel>%" PRIu64 "</channel>", s);
    if (a->channels != NULL) {
        lzr_buf_printf(out, "<displaysettings>%" PRIu64 "</displaysettings>", s);
    }
    lzr_buf_puts(out, "</attributes>\n      </ViewSetup>\n");
}

static void put_setups(struct lzr_buf *out, const struct lzr_array *a)
{
    uint64_t setups = length_of(a, 'c');
    struct lzr_channels it;
    struct lzr_channel c;
    lzr_buf_puts(out, "    <ViewSetups>\n");
    lzr_channels_init(&it, a);
    for (uint64_t s = 0; s < setups; s++) {
        (void)lzr_channels_next(&it, &c);
        put_setup(out, a, &c, s);
    }
    lzr_buf_puts(out, "      <Attributes name=\"channel\">\n");
    lzr_channels_init(&it, a);
    for (uint64_t s = 0; s < setups; s++) {
        (void)lzr_channels_next(&it, &c);
        lzr_buf_printf(out, "        <Channel><id>%" PRIu64 "</id><name>", s);
        put_label(out, &c, s);
        lzr_buf_puts(out, "</name></Channel>\n");
    }
    lzr_buf_puts(out, "      </Attributes>\n");
    if (a->channels != NULL) {
        put_displays(out, a);
    }
    lzr_buf_puts(out, "    </ViewSetups>\n");
}

static void put_affine(struct lzr_buf *out, const double size[3], const double place[3])
{
    lzr_buf_puts(out, "<affine>");
    for (unsigned row = 0; row < 3; row++) {
        for (unsigned column = 0; column < 4; column++) {
            lzr_buf_puts(out, row + column > 0 ? " " : "");
            put_real(out, column == 3 ? place[row] : column == row ? size[row] : 0);
        }
    }
    lzr_buf_puts(out, "</affine>");
}

/* BigDataViewer puts voxel 0's centre at the affine's last column, as lazarr does; it derives the
 * levels' places from their factors itself. */
static void put_registrations(struct lzr_buf *out, const struct lzr_array *a)
{
    double size[3], place[3];
    for (unsigned i = 0; i < 3; i++) {
        size[i] = lzr_bdv_size(a, i);
        place[i] = place_of(a, i);
    }
    lzr_buf_puts(out, "  <ViewRegistrations>\n");
    for (uint64_t t = 0; t < length_of(a, 't'); t++) {
        for (uint64_t s = 0; s < length_of(a, 'c'); s++) {
            lzr_buf_printf(out,
                           "    <ViewRegistration timepoint=\"%" PRIu64 "\" setup=\"%" PRIu64
                           "\"><ViewTransform type=\"affine\">",
                           t, s);
            put_affine(out, size, place);
            lzr_buf_puts(out, "</ViewTransform></ViewRegistration>\n");
        }
    }
    lzr_buf_puts(out, "  </ViewRegistrations>\n");
}

#define RELATIVE "<n5 type=\"relative\">dataset.n5</n5>"

void lzr_bdv_xml(struct lzr_buf *out, const struct lzr_array *a)
{
    lzr_buf_puts(out, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
                      "<SpimData version=\"0.2\">\n"
                      "  <BasePath type=\"relative\">.</BasePath>\n"
                      "  <SequenceDescription>\n"
                      "    <ImageLoader format=\"bdv.n5\" version=\"1.1\">\n"
                      "      " RELATIVE "\n"
                      "    </ImageLoader>\n");
    put_setups(out, a);
    lzr_buf_printf(out,
                   "    <Timepoints type=\"range\">\n      <first>0</first>\n      <last>%" PRIu64
                   "</last>\n    </Timepoints>\n  </SequenceDescription>\n",
                   length_of(a, 't') - 1);
    put_registrations(out, a);
    lzr_buf_puts(out, "</SpimData>\n");
}

void lzr_bdv_xml_at(struct lzr_buf *out, const struct lzr_array *a, const char *xml, size_t n,
                    const char *base)
{
    const char *at = strstr(xml, RELATIVE); /* names can't say it: their '<' is escaped */
    size_t head = at != NULL ? (size_t)(at - xml) : n, skip = at != NULL ? strlen(RELATIVE) : 0;
    lzr_buf_add(out, xml, head);
    if (at != NULL) {
        lzr_buf_puts(out, "<n5 type=\"absolute\">");
        lzr_xml_text(out, base);
        lzr_buf_printf(out, "/bdv/%s/%s/dataset.n5</n5>", a->store->name, a->path);
    }
    lzr_buf_add(out, xml + head + skip, n - head - skip);
}

/* BigDataViewer has ten groups of sources, the first of each source alone; a file with another
 * number of them it refuses. */
enum { GROUPS = 10 };

static void put_state(struct lzr_buf *out, const struct lzr_array *a, uint64_t setups)
{
    struct lzr_channels it;
    struct lzr_channel c;
    lzr_buf_puts(out, "  <ViewerState>\n    <Sources>\n");
    lzr_channels_init(&it, a);
    for (uint64_t s = 0; s < setups; s++) {
        (void)lzr_channels_next(&it, &c);
        lzr_buf_printf(out, "      <Source><active>%s</active></Source>\n",
                       c.active ? "true" : "false");
    }
    lzr_buf_puts(out, "    </Sources>\n    <SourceGroups>\n");
    for (unsigned g = 0; g < GROUPS; g++) {
        lzr_buf_printf(out, "      <SourceGroup><active>true</active><name>group %u</name>", g + 1);
        if (g < setups) {
            lzr_buf_printf(out, "<id>%u</id>", g);
        }
        lzr_buf_puts(out, "</SourceGroup>\n");
    }
    lzr_buf_printf(out,
                   "    </SourceGroups>\n"
                   "    <DisplayMode>%s</DisplayMode>\n"
                   "    <Interpolation>nearestneighbor</Interpolation>\n"
                   "    <CurrentSource>0</CurrentSource>\n"
                   "    <CurrentGroup>0</CurrentGroup>\n"
                   "    <CurrentTimePoint>0</CurrentTimePoint>\n"
                   "  </ViewerState>\n",
                   setups > 1 ? "fs" : "ss"); /* all that are on, or one */
}

static void put_tag(struct lzr_buf *out, const char *tag, double v)
{
    lzr_buf_printf(out, "<%s>", tag);
    put_real(out, v);
    lzr_buf_printf(out, "</%s>", tag);
}

static void put_assignments(struct lzr_buf *out, const struct lzr_array *a)
{
    struct lzr_channels it;
    struct lzr_channel c;
    lzr_buf_puts(out, "  <SetupAssignments>\n    <ConverterSetups>\n");
    lzr_channels_init(&it, a);
    for (uint64_t s = 0; s < length_of(a, 'c'); s++) {
        (void)lzr_channels_next(&it, &c);
        uint32_t rgb = c.colored ? c.rgb : 0xffffff;
        lzr_buf_printf(out, "      <ConverterSetup><id>%" PRIu64 "</id>", s);
        put_tag(out, "min", c.start);
        put_tag(out, "max", c.end);
        /* Java's int of 0xAARRGGBB, opaque. */
        lzr_buf_printf(out, "<color>%" PRId64 "</color><groupId>%" PRIu64 "</groupId>",
                       (int64_t)rgb - 0x1000000, s);
        lzr_buf_puts(out, "</ConverterSetup>\n");
    }
    lzr_buf_puts(out, "    </ConverterSetups>\n    <MinMaxGroups>\n");
    lzr_channels_init(&it, a);
    for (uint64_t s = 0; s < length_of(a, 'c'); s++) {
        (void)lzr_channels_next(&it, &c);
        lzr_buf_printf(out, "      <MinMaxGroup><id>%" PRIu64 "</id>", s);
        put_tag(out, "fullRangeMin", c.min);
        put_tag(out, "fullRangeMax", c.max);
        put_tag(out, "rangeMin", c.min);
        put_tag(out, "rangeMax", c.max);
        put_tag(out, "currentMin", c.start);
        put_tag(out, "currentMax", c.end);
        lzr_buf_puts(out, "</MinMaxGroup>\n");
    }
    lzr_buf_puts(out, "    </MinMaxGroups>\n  </SetupAssignments>\n");
}

void lzr_bdv_settings(struct lzr_buf *out, const struct lzr_array *a)
{
    static const double one[3] = {1, 1, 1}, none[3] = {0, 0, 0};
    uint64_t setups = length_of(a, 'c');
    lzr_buf_puts(out, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
                      "<!-- what BigDataViewer shows of the bdv.n5 dataset beside it -->\n"
                      "<Settings>\n");
    put_state(out, a, setups);
    put_assignments(out, a);
    lzr_buf_puts(out, "  <ManualSourceTransforms>\n");
    for (uint64_t s = 0; s < setups; s++) {
        lzr_buf_puts(out, "    <SourceTransform type=\"affine\">");
        put_affine(out, one, none);
        lzr_buf_puts(out, "</SourceTransform>\n");
    }
    lzr_buf_puts(out, "  </ManualSourceTransforms>\n  <Bookmarks />\n</Settings>\n");
}
