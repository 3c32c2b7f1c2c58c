/* lazarr bdv STORE ARRAY: what BigDataViewer opens, as files. It opens no dataset.xml by a URL, but
 * a saved one whose data have a URL, and takes its display settings from FILE.settings.xml. */
#include "store/bdv.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "cli/commands.h"

#define DEFAULT_URL "http://127.0.0.1:8080"

enum { MAX_NAMED = 10 };

static const struct lzr_array *find_array(const struct lzr_catalog *c, const char *path)
{
    for (size_t i = 0; i < lzr_catalog_narrays(c); i++) {
        const struct lzr_array *a = lzr_catalog_array(c, i);
        if (strcmp(a->path, path) == 0) {
            return a;
        }
    }
    return NULL;
}

/* What isn't there, and what is; "brain/t1", as serve prints it, is told of "t1". */
static void no_array(const struct lzr_catalog *c, const char *path)
{
    size_t n = lzr_catalog_narrays(c);
    const char *slash = strchr(path, '/');
    (void)fprintf(stderr, "lazarr: there is no array '%s'", path);
    if (slash != NULL && find_array(c, slash + 1) != NULL) {
        (void)fprintf(stderr, ": did you mean '%s'?\n", slash + 1);
        return;
    }
    for (size_t i = 0; i < n && i < MAX_NAMED; i++) {
        (void)fprintf(stderr, "%s%s", i > 0 ? ", " : ": there are ", lzr_catalog_array(c, i)->path);
    }
    (void)fprintf(stderr, "%s\n", n > MAX_NAMED ? ", …" : "");
}

/* All of b; says why not. */
static bool put_all(int fd, const struct lzr_buf *b, const char *name)
{
    for (size_t at = 0; at < b->len;) {
        ssize_t n = write(fd, b->data + at, b->len - at);
        if (n < 0 && errno != EINTR) {
            (void)fprintf(stderr, "lazarr: cannot write %s: %s\n", name, strerror(errno));
            return false;
        }
        at += n > 0 ? (size_t)n : 0;
    }
    return true;
}

/* more: O_TRUNC, or O_EXCL, which leaves a file that is there as it is and says so. */
static bool put_file(const char *name, int more, const struct lzr_buf *b)
{
    int fd = open(name, O_WRONLY | O_CREAT | O_CLOEXEC | more, 0666);
    if (fd < 0 && errno == EEXIST && (more & O_EXCL) != 0) {
        (void)fprintf(stderr, "lazarr: %s is kept: BigDataViewer saves its own settings there\n",
                      name);
        return true;
    }
    if (fd < 0) {
        (void)fprintf(stderr, "lazarr: cannot write %s: %s\n", name, strerror(errno));
        return false;
    }
    bool ok = put_all(fd, b, name);
    if (close(fd) != 0 && ok) {
        (void)fprintf(stderr, "lazarr: cannot write %s: %s\n", name, strerror(errno));
        ok = false;
    }
    return ok;
}

/* "brain.xml" to "brain.settings.xml", where BigDataViewer looks for it; false: the name has
 * another ending. */
static bool settings_name(const char *name, struct lzr_buf *out)
{
    size_t n = strlen(name);
    if (n < 4 || strcmp(name + n - 4, ".xml") != 0) {
        return false;
    }
    lzr_buf_printf(out, "%.*s.settings.xml", (int)(n - 4), name);
    return !lzr_buf_failed(out);
}

static bool write_settings(const struct lzr_array *a, const char *name)
{
    struct lzr_buf b, beside;
    bool ok = true;
    lzr_buf_init(&b, LZR_MAX_DOCUMENTS);
    lzr_buf_init(&beside, 8192);
    if (settings_name(name, &beside)) {
        lzr_bdv_settings(&b, a);
        ok = !lzr_buf_failed(&b) && put_file(beside.data, O_EXCL, &b);
    }
    lzr_buf_release(&beside);
    lzr_buf_release(&b);
    return ok;
}

static bool write_all(const struct lzr_array *a, const char *url, const char *name)
{
    struct lzr_buf plain, b;
    char base[1024]; /* options.c takes no longer ones */
    (void)snprintf(base, sizeof base, "%s", url);
    size_t n = strlen(base);
    while (n > 0 && base[n - 1] == '/') {
        base[--n] = '\0';
    }
    lzr_buf_init(&plain, LZR_MAX_DOCUMENTS);
    lzr_buf_init(&b, LZR_MAX_DOCUMENTS);
    lzr_bdv_xml(&plain, a);
    if (!lzr_buf_failed(&plain)) {
        lzr_bdv_xml_at(&b, a, plain.data, plain.len, base);
    }
    bool ok = !lzr_buf_failed(&plain) && !lzr_buf_failed(&b);
    if (!ok) {
        (void)fputs("lazarr: out of memory\n", stderr);
    } else if (name == NULL) {
        ok = put_all(STDOUT_FILENO, &b, "to standard output");
    } else {
        ok = put_file(name, O_TRUNC, &b) && (a->channels == NULL || write_settings(a, name));
    }
    lzr_buf_release(&plain);
    lzr_buf_release(&b);
    return ok;
}

int lzr_bdv(const struct lzr_options *o)
{
    struct lzr_log log = {.fd = STDERR_FILENO, .level = LZR_LOG_WARN};
    struct lzr_options one = *o;
    char why[LZR_WHY_BYTES];
    one.driver.workers = 1;
    struct lzr_driver *d = lzr_open_driver(&one, &log);
    if (d == NULL) {
        return 1;
    }
    const struct lzr_array *a = find_array(lzr_driver_catalog(d), o->key);
    bool ok = false;
    if (a == NULL) {
        no_array(lzr_driver_catalog(d), o->key);
    } else if (!lzr_face_holds(a, LZR_FACE_BDV, why)) {
        (void)fprintf(stderr, "lazarr: %s isn't there for BigDataViewer: %s\n", a->path, why);
    } else {
        ok = write_all(a, o->url != NULL ? o->url : DEFAULT_URL, o->out);
    }
    lzr_driver_close(&d);
    return ok ? 0 : 1;
}
