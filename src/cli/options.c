#include "cli/options.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "cli/near.h"
#include "http/access.h"
#include "http/public.h"

static const char help[] =
    "usage: lazarr serve STORE... [options]   serve stores over HTTP\n"
    "       lazarr describe STORE             print a store's manifest as JSON\n"
    "       lazarr get STORE KEY              write one key's bytes to stdout; KEY: a URL's path,\n"
    "                                         e.g. zarr3/brain.zarr/t1/zarr.json\n"
    "       lazarr bdv STORE ARRAY [--url http://HOST:PORT] [-o FILE.xml]\n"
    "                                         write what BigDataViewer opens: FILE.xml and, of an\n"
    "                                         image with channels, FILE.settings.xml; --url is\n"
    "                                         the server's (http://127.0.0.1:8080)\n"
    "       lazarr --version | --help\n"
    "\n"
    "STORE is a .py file, a .json manifest, a folder of them, -m MODULE (package.store, found as\n"
    "python -m finds it), or a data file that is served as it is: FILE or FILE::PATH, a zarr or\n"
    "N5 folder, HDF5 (.h5), TIFF or a folder of them, NIfTI (.nii), DICOM, CZI, ND2, LIF, MRC,\n"
    "NRRD, .npy, others (docs/sources.md). Its name is its file's; NAME=STORE gives it another.\n"
    "\n"
    "  --host HOST             where to listen (127.0.0.1)\n"
    "  --port PORT             (8080; 0 picks a free one)\n"
    "  --workers N             Python processes (as many as the cores it may use)\n"
    "  --worker-memory SOFT[,HARD]  a worker that uses more is replaced after its block;\n"
    "                          beyond HARD it is killed (no limit)\n"
    "  --worker-jobs N         a worker is replaced after so many blocks (never)\n"
    "  --worker-age SECONDS    a worker is replaced at this age (never)\n"
    "  --op MODULE:FUNCTION    beside a data file's arrays, this function of each (block, data);\n"
    "                          may be repeated\n"
    "  --axes zyx  --scale 2,.5,.5  --units um  --channels DAPI,GFP  --chunks 64,64,64\n"
    "  --dtype float32         what a data file doesn't say, or says otherwise\n"
    "  --rechunk time=-1,lat=16  a data file's arrays in other chunks, too: the group rechunked\n"
    "  --raw                   --op gets a file's values as they are stored, and all its arrays\n"
    "  --follow                files that a data file names (links, external storage) are read\n"
    "                          wherever they lie, not only below its folder\n"
    "  --cache SIZE            byte budget, e.g. 512MiB (1GiB, at most half of what a control\n"
    "                          group allows; 0 keeps nothing)\n"
    "  --python PREFIX         environment that stores import from, or its bin/python3\n"
    "                          ($VIRTUAL_ENV, $CONDA_PREFIX, else the system's)\n"
    "  --allow-origin ORIGIN   a web page that may read, or *; may be repeated\n"
    "  --allow-host NAME       names in the Host header that are answered to, or *; repeatable\n"
    "                          (localhost, --public-url's; beyond loopback addresses, too, and\n"
    "                          this machine's names)\n"
    "  --token TOKEN           who knows it may ask: /t/TOKEN/... or 'Authorization: Bearer';\n"
    "                          16 to 256 letters, digits, -._~; the process list shows it\n"
    "  --token-file FILE       the token is the first line of a file that others can't read\n"
    "                          ($LAZARR_TOKEN; one is made for a --host that isn't this machine\n"
    "                          alone)\n"
    "  --no-token              none is asked for\n"
    "  --public-url URL        what printed and embedded URLs begin with\n"
    "  --trusted-proxy RANGE   whose X-Forwarded-* counts beside this machine's, e.g. 10.0.0.0/8;\n"
    "                          may be repeated\n"
    "  --neuroglancer URL      the page that links to the viewer open\n"
    "                          (" LZR_NEUROGLANCER ")\n"
    "  --first-byte SECONDS    a request that waits longer is answered 503 (100)\n"
    "  --head-wait SECONDS     the same for a Java client's HEAD (3)\n"
    "  --header-timeout SECONDS  until a request's head must have come (30)\n"
    "  --send-timeout SECONDS  until an answer must be read, and again for each 4 MiB (60)\n"
    "  --client-connections N  of one address; more are closed (half of all, and any number from\n"
    "                          this machine and trusted proxies; 0: any)\n"
    "  --http-threads N        threads that answer (2)\n"
    "  --start-timeout SECONDS until a worker must have loaded the stores (300)\n"
    "  --read-timeout SECONDS  until a file system must have answered a read (60)\n"
    "  --core-dumps            a crash of the server may leave a core file (never)\n"
    "  --no-access-log         no line a request\n"
    "  --log-file PATH         the log goes there, opened again on SIGUSR1 (stderr)\n"
    "  --log-format FORMAT     text, requests as nginx's \"combined\", or json: an object a line\n"
    "                          (text)\n"
    "  --quiet                 of the log only warnings and errors; URLs are printed\n";

void lzr_options_help(void)
{
    (void)fputs(help, stdout);
}

/* Says what is wrong: "lazarr: WHAT, got 'VALUE' (lazarr --help says how)". */
static int wrong(const char *what, const char *value)
{
    (void)fprintf(stderr, "lazarr: %s '%s' (lazarr --help says how)\n", what, value);
    return 2;
}

static int unfit(const struct lzr_err *err)
{
    (void)fprintf(stderr, "lazarr: %s (lazarr --help says how)\n", err->msg);
    return 2;
}

bool lzr_size_parse(const char *text, uint64_t *out)
{
    static const struct {
        const char *name;
        uint64_t factor;
    } units[] = {{"", 1},
                 {"B", 1},
                 {"KB", 1000},
                 {"MB", 1000000},
                 {"GB", 1000000000},
                 {"KiB", UINT64_C(1) << 10},
                 {"MiB", UINT64_C(1) << 20},
                 {"GiB", UINT64_C(1) << 30},
                 {"TiB", UINT64_C(1) << 40},
                 {"K", UINT64_C(1) << 10},
                 {"M", UINT64_C(1) << 20},
                 {"G", UINT64_C(1) << 30}};
    char *end;
    if (*text < '0' || *text > '9') {
        return false;
    }
    errno = 0;
    unsigned long long n = strtoull(text, &end, 10);
    if (errno != 0) {
        return false;
    }
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        uint64_t bytes;
        if (strcasecmp(end, units[i].name) == 0 &&
            !__builtin_mul_overflow((uint64_t)n, units[i].factor, &bytes) &&
            bytes <= UINT64_C(1) << 50) {
            *out = bytes;
            return true;
        }
    }
    return false;
}

static bool integer(const char *text, unsigned long low, unsigned long high, unsigned long *out)
{
    char *end;
    errno = 0;
    unsigned long v = strtoul(text, &end, 10);
    if (*text < '0' || *text > '9' || *end != '\0' || errno != 0 || v < low || v > high) {
        return false;
    }
    *out = v;
    return true;
}

static bool seconds(const char *text, uint64_t *us)
{
    char *end;
    double v = strtod(text, &end);
    if (end == text || *end != '\0' || !(v >= 0) || v > 1e6) {
        return false;
    }
    *us = (uint64_t)(v * 1e6);
    return true;
}

/* An option's; its exit status. */
static int take_seconds(const char *option, uint64_t *us)
{
    char text[64];
    (void)snprintf(text, sizeof text, "%s must be seconds, got", option);
    return seconds(optarg, us) ? 0 : wrong(text, optarg);
}

enum {
    HOST = 256,
    PORT,
    WORKERS,
    CACHE,
    PYTHON,
    ORIGIN,
    OP,
    FOLLOW,
    DATA,
    ALLOW_HOST,
    TOKEN,
    TOKEN_FILE,
    NO_TOKEN,
    CORE_DUMPS,
    PUBLIC,
    PROXY,
    NEUROGLANCER,
    FIRST_BYTE,
    HEAD_WAIT,
    THREADS,
    START_TIMEOUT,
    READ_TIMEOUT,
    ORDER,
    WORKER_MEMORY,
    HEADER_TIMEOUT,
    SEND_TIMEOUT,
    CLIENT_CONNECTIONS,
    WORKER_JOBS,
    WORKER_AGE,
    NO_ACCESS_LOG,
    LOG_FILE,
    LOG_FORMAT,
    QUIET,
    URL
};

static const struct option serve_options[] = {
    {"host", required_argument, NULL, HOST},
    {"port", required_argument, NULL, PORT},
    {"workers", required_argument, NULL, WORKERS},
    {"cache", required_argument, NULL, CACHE},
    {"python", required_argument, NULL, PYTHON},
    {"allow-origin", required_argument, NULL, ORIGIN},
    {"op", required_argument, NULL, OP},
    {"follow", no_argument, NULL, FOLLOW},
    {"axes", required_argument, NULL, DATA},
    {"scale", required_argument, NULL, DATA},
    {"units", required_argument, NULL, DATA},
    {"channels", required_argument, NULL, DATA},
    {"chunks", required_argument, NULL, DATA},
    {"dtype", required_argument, NULL, DATA},
    {"rechunk", required_argument, NULL, DATA},
    {"raw", no_argument, NULL, DATA},
    {"allow-host", required_argument, NULL, ALLOW_HOST},
    {"token", required_argument, NULL, TOKEN},
    {"token-file", required_argument, NULL, TOKEN_FILE},
    {"no-token", no_argument, NULL, NO_TOKEN},
    {"core-dumps", no_argument, NULL, CORE_DUMPS},
    {"public-url", required_argument, NULL, PUBLIC},
    {"trusted-proxy", required_argument, NULL, PROXY},
    {"neuroglancer", required_argument, NULL, NEUROGLANCER},
    {"first-byte", required_argument, NULL, FIRST_BYTE},
    {"head-wait", required_argument, NULL, HEAD_WAIT},
    {"header-timeout", required_argument, NULL, HEADER_TIMEOUT},
    {"send-timeout", required_argument, NULL, SEND_TIMEOUT},
    {"client-connections", required_argument, NULL, CLIENT_CONNECTIONS},
    {"http-threads", required_argument, NULL, THREADS},
    {"start-timeout", required_argument, NULL, START_TIMEOUT},
    {"read-timeout", required_argument, NULL, READ_TIMEOUT},
    {"order", required_argument, NULL, ORDER},
    {"worker-memory", required_argument, NULL, WORKER_MEMORY},
    {"worker-jobs", required_argument, NULL, WORKER_JOBS},
    {"worker-age", required_argument, NULL, WORKER_AGE},
    {"no-access-log", no_argument, NULL, NO_ACCESS_LOG},
    {"log-file", required_argument, NULL, LOG_FILE},
    {"log-format", required_argument, NULL, LOG_FORMAT},
    {"quiet", no_argument, NULL, QUIET},
    {"help", no_argument, NULL, 'h'},
    {"url", required_argument, NULL, URL},
    {"output", required_argument, NULL, 'o'},
    {NULL, 0, NULL, 0}};

/* An absolute URL without what would end it in a page or a header. */
static bool web_address(const char *url)
{
    size_t n = strncasecmp(url, "http://", 7) == 0    ? 7
               : strncasecmp(url, "https://", 8) == 0 ? 8
                                                      : 0;
    if (n == 0 || strlen(url) > 900 || url[n] == '\0' || url[n] == '/') {
        return false;
    }
    for (const char *p = url; *p != '\0'; p++) {
        if ((unsigned char)*p <= ' ' || (unsigned char)*p >= 0x7f || strchr("<>\"'\\^`{|}", *p)) {
            return false;
        }
    }
    return true;
}

/* The page that shows is also one that may read. */
static int take_viewer(struct lzr_options *o, const char *url)
{
    if (!web_address(url)) {
        return wrong("--neuroglancer must begin with http:// or https://, got", url);
    }
    size_t n = (size_t)(strstr(url, "://") + 3 - url);
    n += strcspn(url + n, "/?#");
    if (o->server.norigins == sizeof o->origins / sizeof o->origins[0] ||
        n >= sizeof o->viewer_origin) {
        return wrong("--neuroglancer is too long, or there are too many --allow-origin, at", url);
    }
    memcpy(o->viewer_origin, url, n);
    o->viewer_origin[n] = '\0';
    o->origins[o->server.norigins++] = o->viewer_origin;
    o->server.neuroglancer = url;
    return 0;
}

/* "SOFT" or "SOFT,HARD"; 0 is no limit. */
static bool memory_limits(const char *text, struct lzr_driver_options *d)
{
    char soft[64];
    const char *comma = strchr(text, ',');
    size_t n = comma != NULL ? (size_t)(comma - text) : strlen(text);
    if (n >= sizeof soft) {
        return false;
    }
    memcpy(soft, text, n);
    soft[n] = '\0';
    return lzr_size_parse(soft, &d->worker_memory_soft) &&
           (comma == NULL || lzr_size_parse(comma + 1, &d->worker_memory_hard)) &&
           (d->worker_memory_hard == 0 || d->worker_memory_hard >= d->worker_memory_soft);
}

/* One that says how workers, clients that dawdle, and crashes are treated. */
static int take_worker(struct lzr_options *o, int c)
{
    unsigned long n = 0;
    switch (c) {
    case CORE_DUMPS:
        o->core_dumps = true;
        return 0;
    case START_TIMEOUT:
        return take_seconds("--start-timeout", &o->driver.start_timeout_us);
    case READ_TIMEOUT:
        if (seconds(optarg, &o->driver.read_timeout_us) && o->driver.read_timeout_us == 0) {
            return wrong("--read-timeout must be more than 0, got", optarg);
        }
        return take_seconds("--read-timeout", &o->driver.read_timeout_us);
    case HEADER_TIMEOUT:
        return take_seconds("--header-timeout", &o->server.header_us);
    case SEND_TIMEOUT:
        return take_seconds("--send-timeout", &o->server.send_us);
    case CLIENT_CONNECTIONS:
        if (!integer(optarg, 0, 1000000, &n)) {
            return wrong("--client-connections must be a number of connections, got", optarg);
        }
        o->server.client_connections = (unsigned)n;
        o->server.client_connections_set = true;
        return 0;
    case WORKER_MEMORY:
        return memory_limits(optarg, &o->driver)
                   ? 0
                   : wrong("--worker-memory must be SOFT or SOFT,HARD, e.g. 2GiB,4GiB, got",
                           optarg);
    case WORKER_JOBS:
        if (!integer(optarg, 0, 1000000000, &n)) {
            return wrong("--worker-jobs must be a number of jobs, got", optarg);
        }
        o->driver.worker_jobs = n;
        return 0;
    case WORKER_AGE:
        return take_seconds("--worker-age", &o->driver.worker_age_us);
    case ORDER: /* for bench/order.py; not in the help */
        if (!integer(optarg, 0, 2, &n)) {
            return wrong("--order must be 0 (bursts), 1 (arrival) or 2 (newest), got", optarg);
        }
        o->driver.order = (unsigned)n;
        return 0;
    default:
        return 2;
    }
}

/* Modules that are stores; and what is for data files: "module:function" beside them; what they
 * name may lie anywhere. */
static int take_data(struct lzr_options *o, int c)
{
    if (c == 'm') {
        if (o->driver.nmodules == sizeof o->modules / sizeof o->modules[0]) {
            return wrong("too many -m, at", optarg);
        }
        o->modules[o->driver.nmodules++] = optarg;
        return 0;
    }
    if (c == FOLLOW) {
        o->driver.follow = true;
        return 0;
    }
    const char *colon = strchr(optarg, ':');
    if (colon == NULL || colon == optarg || colon[1] == '\0' || strchr(colon + 1, ':') != NULL) {
        return wrong("--op must be module:function, got", optarg);
    }
    if (o->driver.nops == sizeof o->ops / sizeof o->ops[0] - LZR_DATA_OPTIONS) {
        return wrong("too many --op, at", optarg);
    }
    o->ops[o->driver.nops++] = optarg;
    return 0;
}

/* Who may ask; 0, or 2 for a value that makes no sense. */
static int take_access(struct lzr_options *o, int c)
{
    struct lzr_err err = {.code = LZR_OK};
    switch (c) {
    case ORIGIN:
        if (o->server.norigins == sizeof o->origins / sizeof o->origins[0]) {
            return wrong("too many --allow-origin, at", optarg);
        }
        if (!lzr_origin_is_valid(optarg)) {
            return wrong("--allow-origin must be scheme://host[:port] without a path, or *, got",
                         optarg);
        }
        o->origins[o->server.norigins++] = optarg;
        return 0;
    case ALLOW_HOST:
        if (o->server.nhosts == sizeof o->hosts / sizeof o->hosts[0]) {
            return wrong("too many --allow-host, at", optarg);
        }
        if (!lzr_allow_host_is_valid(optarg)) {
            return wrong("--allow-host must be a name or an address without a port, or *, got",
                         optarg);
        }
        o->hosts[o->server.nhosts++] = optarg;
        return 0;
    case TOKEN:
        return lzr_token_take(&o->token, optarg, &err) == LZR_OK ? 0 : unfit(&err);
    case NO_TOKEN:
        o->token.none = true;
        return 0;
    default:
        return lzr_token_read(&o->token, optarg, &err) == LZR_OK ? 0 : unfit(&err);
    }
}

/* What only bdv has. */
static int take_bdv(struct lzr_options *o, int c)
{
    if (o->command != LZR_BDV) {
        return wrong("is for lazarr bdv only:", c == 'o' ? "-o" : "--url");
    }
    if (c == 'o') {
        o->out = optarg;
        return 0;
    }
    if (!web_address(optarg) || !lzr_base_is_valid(optarg)) {
        return wrong("--url must be http[s]://HOST[:PORT][/PATH], got", optarg);
    }
    o->url = optarg;
    return 0;
}

/* What is logged, where and how. */
static int take_log(struct lzr_options *o, int c)
{
    switch (c) {
    case LOG_FILE:
        o->log_file = optarg;
        return *optarg != '\0' ? 0 : wrong("--log-file must be a path, got", optarg);
    case LOG_FORMAT:
        o->log_json = strcmp(optarg, "json") == 0;
        return o->log_json || strcmp(optarg, "text") == 0
                   ? 0
                   : wrong("--log-format must be text or json, got", optarg);
    default:
        o->quiet = o->quiet || c == QUIET;
        o->server.access_log = false;
        return 0;
    }
}

/* One option; 0, or 2 for a value that makes no sense. */
static int take(struct lzr_options *o, int c)
{
    unsigned long n = 0;
    switch (c) {
    case HOST:
        o->server.host = optarg;
        return 0;
    case PORT:
        if (!integer(optarg, 0, 65535, &n)) {
            return wrong("--port must be 0 to 65535, got", optarg);
        }
        o->server.port = (uint16_t)n;
        return 0;
    case WORKERS:
        if (!integer(optarg, 1, LZR_MAX_WORKERS, &n)) {
            return wrong("--workers must be 1 to 256, got", optarg);
        }
        o->driver.workers = (unsigned)n;
        return 0;
    case CACHE:
        o->cache_given = true;
        return lzr_size_parse(optarg, &o->driver.cache_bytes)
                   ? 0
                   : wrong("--cache must be a size such as 512MiB, got", optarg);
    case PYTHON:
        o->driver.python = optarg;
        return 0;
    case 'm':
    case OP:
    case FOLLOW:
        return take_data(o, c);
    case ORIGIN:
    case ALLOW_HOST:
    case TOKEN:
    case TOKEN_FILE:
    case NO_TOKEN:
        return take_access(o, c);
    case PUBLIC:
        if (!web_address(optarg) || !lzr_base_is_valid(optarg)) {
            return wrong("--public-url must be http[s]://HOST[:PORT][/PATH], got", optarg);
        }
        o->server.public_url = optarg;
        return 0;
    case FIRST_BYTE:
        return take_seconds("--first-byte", &o->server.first_byte_us);
    case HEAD_WAIT:
        return take_seconds("--head-wait", &o->server.head_wait_us);
    case THREADS:
        if (!integer(optarg, 2, 64, &n)) {
            return wrong("--http-threads must be 2 to 64, got", optarg);
        }
        o->server.threads = (unsigned)n;
        return 0;
    case NO_ACCESS_LOG:
    case LOG_FILE:
    case LOG_FORMAT:
    case QUIET:
        return take_log(o, c);
    case PROXY:
        if (!lzr_proxy_range_ok(optarg)) {
            return wrong("--trusted-proxy must be an address or a range of them, got", optarg);
        }
        if (o->server.nproxies == sizeof o->proxies / sizeof o->proxies[0]) {
            return wrong("too many --trusted-proxy, at", optarg);
        }
        o->proxies[o->server.nproxies++] = optarg;
        return 0;
    case NEUROGLANCER:
        return take_viewer(o, optarg);
    case URL:
    case 'o':
        return take_bdv(o, c);
    default:
        return take_worker(o, c);
    }
}

int lzr_options_parse(int argc, char **argv, struct lzr_options *o)
{
    *o = (struct lzr_options){.driver = LZR_DRIVER_DEFAULTS, .server = LZR_SERVER_DEFAULTS};
    o->driver.ops = o->ops;
    o->driver.modules = o->modules;
    o->server.origins = o->origins;
    o->server.proxies = o->proxies;
    o->server.hosts = o->hosts;
    if (argc < 2) {
        return wrong("expected serve, describe, get or bdv, not", "");
    }
    const char *command = argv[1];
    if (strcmp(command, "--help") == 0 || strcmp(command, "-h") == 0) {
        o->command = LZR_HELP;
        return 0;
    }
    if (strcmp(command, "--version") == 0) {
        o->command = LZR_SHOW_VERSION;
        return 0;
    }
    o->command = strcmp(command, "describe") == 0 ? LZR_DESCRIBE
                 : strcmp(command, "get") == 0    ? LZR_GET
                 : strcmp(command, "bdv") == 0    ? LZR_BDV
                                                  : LZR_SERVE;
    if (o->command == LZR_SERVE && strcmp(command, "serve") != 0) {
        return lzr_unknown_command(command);
    }
    int c, which = 0;
    const char *letters = o->command == LZR_BDV ? ":hm:o:" : ":hm:";
    opterr = 0;
    optind = 2;
    while ((c = getopt_long(argc, argv, letters, serve_options, &which)) != -1) {
        if (c == '?') {
            return lzr_unknown_option(argv[optind - 1], serve_options);
        }
        if (c == ':') {
            return wrong("a value must follow option", argv[optind - 1]);
        }
        if (c == 'h') { /* whatever else was given */
            o->command = LZR_HELP;
            return 0;
        }
        int rc = c == DATA
                     ? lzr_data_option_take(&o->data, serve_options[which].name, optarg)
                     : take(o, c);
        if (rc != 0) {
            return rc;
        }
    }
    o->driver.nops = lzr_data_options_list(&o->data, o->ops, o->driver.nops,
                                           sizeof o->ops / sizeof o->ops[0]);
    int left = argc - optind, given = left + (int)o->driver.nmodules;
    if (o->command == LZR_GET || o->command == LZR_BDV) {
        if (left < 1 || given != 2) {
            return wrong(o->command == LZR_GET ? "expected a store and a key behind"
                                               : "expected a store and an array's path behind",
                         command);
        }
        o->key = argv[--argc];
        left--;
    } else if (o->command == LZR_DESCRIBE && given != 1) {
        return wrong("expected one store behind", command);
    } else if (given < 1) {
        return wrong("expected a store behind", command);
    }
    struct lzr_err err = {.code = LZR_OK};
    if (o->command == LZR_SERVE && lzr_token_settle(&o->token, &err) != LZR_OK) {
        return unfit(&err);
    }
    o->server.token = o->token.text[0] != '\0' ? o->token.text : NULL;
    o->server.spare_token = o->token.spare[0] != '\0' ? o->token.spare : NULL;
    o->driver.stores = (const char *const *)&argv[optind];
    o->driver.nstores = (size_t)left;
    return 0;
}
