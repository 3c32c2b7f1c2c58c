/* How many cores this process may use: trees that stand for those of containers and machines. */
#include <errno.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cores.h"
#include "base/memory_limit.h"

static char root[128];
static int trees;

static void new_tree(void)
{
    const char *tmp = getenv("TMPDIR");
    (void)snprintf(root, sizeof root, "%.60s/lzr-cores-%d-%d", tmp != NULL ? tmp : "/tmp",
                   (int)getpid(), trees++);
    assert_int_equal(mkdir(root, 0700), 0);
}

/* A file with its folders. */
static void put(const char *path, const char *text)
{
    char full[512];
    (void)snprintf(full, sizeof full, "%s%s", root, path);
    for (char *p = full + strlen(root) + 1; (p = strchr(p, '/')) != NULL; p++) {
        *p = '\0';
        assert_true(mkdir(full, 0700) == 0 || errno == EEXIST);
        *p = '/';
    }
    FILE *f = fopen(full, "w");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
}

static void v2(const char *group, const char *from)
{
    char text[512];
    new_tree();
    (void)snprintf(text, sizeof text, "0::%s\n", group);
    put("/proc/self/cgroup", text);
    (void)snprintf(text, sizeof text,
                   "22 1 0:20 / / rw - overlay overlay rw\n"
                   "30 22 0:26 %s /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw\n",
                   from);
    put("/proc/self/mountinfo", text);
}

static void quota(double wanted)
{
    double got = lzr_cores_quota(root);
    if (got < wanted - 1e-9 || got > wanted + 1e-9) {
        fail_msg("%s: a quota of %g, wanted %g", root, got, wanted);
    }
}

static void test_v2(void **state)
{
    (void)state;
    v2("/a.slice/b.scope", "/");
    quota(0); /* no controller */
    put("/sys/fs/cgroup/a.slice/b.scope/cpu.max", "max 100000\n");
    quota(0);
    put("/sys/fs/cgroup/a.slice/cpu.max", "150000 100000\n");
    quota(1.5); /* of a group above it */
    put("/sys/fs/cgroup/a.slice/b.scope/cpu.max", "400000 100000\n");
    quota(1.5);
    put("/sys/fs/cgroup/a.slice/b.scope/cpu.max", "50000 100000\n");
    quota(0.5);
    put("/sys/fs/cgroup/a.slice/b.scope/cpu.max", "nonsense\n");
    quota(1.5);
    put("/sys/fs/cgroup/a.slice/b.scope/cpu.max", "100 0\n");
    quota(1.5);
    /* In a container with its own view the group is "/" and the limit at the mount. */
    v2("/", "/");
    put("/sys/fs/cgroup/cpu.max", "200000 100000\n");
    quota(2);
    /* With the machine's paths but a mount of its own group. */
    v2("/docker/0123/sub", "/docker/0123");
    put("/sys/fs/cgroup/cpu.max", "300000 100000\n");
    quota(3);
    put("/sys/fs/cgroup/sub/cpu.max", "100000 100000\n");
    quota(1);
    v2("/docker/01234", "/docker/0123"); /* elsewhere */
    put("/sys/fs/cgroup/cpu.max", "300000 100000\n");
    put("/sys/fs/cgroup4/cpu.max", "100000 100000\n");
    quota(3);
    v2("/../../other", "/");
    put("/sys/fs/cgroup/cpu.max", "300000 100000\n");
    quota(3);
}

/* Half a GiB somewhere above it counts as much as its own. */
static void memory(uint64_t wanted)
{
    uint64_t got = lzr_memory_limit(root);
    if (got != wanted) {
        fail_msg("%s: a limit of %llu, wanted %llu", root, (unsigned long long)got,
                 (unsigned long long)wanted);
    }
}

static void test_memory(void **state)
{
    (void)state;
    v2("/kubepods/pod1/c", "/");
    memory(0); /* no controller */
    put("/sys/fs/cgroup/kubepods/pod1/c/memory.max", "max\n");
    memory(0);
    put("/sys/fs/cgroup/kubepods/memory.max", "8589934592\n");
    memory(UINT64_C(8) << 30);
    put("/sys/fs/cgroup/kubepods/pod1/memory.max", "536870912\n");
    memory(UINT64_C(512) << 20);
    put("/sys/fs/cgroup/kubepods/pod1/c/memory.max", "1073741824\n");
    memory(UINT64_C(512) << 20);
    put("/sys/fs/cgroup/kubepods/pod1/c/memory.max", "0\n"); /* nobody would run */
    put("/sys/fs/cgroup/kubepods/pod1/memory.max", "nonsense\n");
    memory(UINT64_C(8) << 30);
    v2("/docker/0123", "/docker/0123");
    put("/sys/fs/cgroup/memory.max", "268435456\n");
    memory(UINT64_C(256) << 20);
    /* Version 1, whose "no limit" is a number; another controller's limit is none of memory. */
    new_tree();
    put("/proc/self/cgroup", "4:cpu:/docker/01\n3:memory:/docker/01/x\n0::/\n");
    put("/proc/self/mountinfo", "32 22 0:28 /docker/01 /cg/mem rw - cgroup cgroup rw,memory\n"
                                "33 22 0:29 /docker/01 /cg/cpu rw - cgroup cgroup rw,cpu\n");
    put("/cg/cpu/memory.limit_in_bytes", "1000\n");
    memory(0);
    put("/cg/mem/x/memory.limit_in_bytes", "9223372036854771712\n");
    memory(0);
    put("/cg/mem/memory.limit_in_bytes", "402653184\n");
    memory(UINT64_C(384) << 20);
    put("/cg/mem/x/memory.limit_in_bytes", "104857600\n");
    memory(UINT64_C(100) << 20);
}

static void test_v1(void **state)
{
    (void)state;
    new_tree();
    put("/proc/self/cgroup", "11:cpuset:/x\n4:cpu,cpuacct:/docker/01\n3:memory:/docker/01\n"
                             "1:name=systemd:/docker/01\n0::/system.slice\n");
    put("/proc/self/mountinfo",
        "32 22 0:28 /docker/01 /sys/fs/cgroup/cpuset ro - cgroup cgroup rw,cpuset\n"
        "33 22 0:29 /docker/01 /sys/fs/cgroup/cpu\\040and ro,nosuid master:11 - cgroup cgroup "
        "rw,cpu,cpuacct\n");
    quota(0);
    put("/sys/fs/cgroup/cpu and/cpu.cfs_quota_us", "-1\n");
    put("/sys/fs/cgroup/cpu and/cpu.cfs_period_us", "100000\n");
    quota(0);
    put("/sys/fs/cgroup/cpu and/cpu.cfs_quota_us", "250000\n");
    quota(2.5);
    put("/sys/fs/cgroup/cpu and/cpu.cfs_period_us", "0\n");
    quota(0);
    /* Both hierarchies, as systemd's hybrid has them: the one with a limit counts. */
    new_tree();
    put("/proc/self/cgroup", "4:cpuacct,cpu:/job/1\n0::/\n");
    put("/proc/self/mountinfo", "30 22 0:26 / /sys/fs/cgroup/unified rw - cgroup2 cgroup rw\n"
                                "31 22 0:27 / /cg/cpu rw - cgroup cgroup rw,cpuacct,cpu\n");
    put("/cg/cpu/job/cpu.cfs_quota_us", "100000\n");
    put("/cg/cpu/job/cpu.cfs_period_us", "50000\n");
    quota(2);
}

static void test_nothing_there(void **state)
{
    (void)state;
    new_tree();
    quota(0);
    put("/proc/self/cgroup", "");
    put("/proc/self/mountinfo", "nonsense - \n- \n\n");
    quota(0);
    put("/proc/self/cgroup", "4\n4:\n4:cpu\n:::\n0::/a\n");
    quota(0);
}

/* All of them: the least. */
static void test_least(void **state)
{
    struct lzr_cores c;
    cpu_set_t set, one;
    char text[160];
    (void)state;
    unsetenv("SLURM_CPUS_ON_NODE");
    v2("/", "/");
    assert_int_equal(sched_getaffinity(0, sizeof set, &set), 0);
    c = lzr_cores_find(root);
    assert_int_equal(c.n, CPU_COUNT(&set));
    assert_int_equal(c.affinity, CPU_COUNT(&set));
    put("/sys/fs/cgroup/cpu.max", "50000 100000\n");
    c = lzr_cores_find(root);
    assert_int_equal(c.n, 1);
    lzr_cores_text(&c, text, sizeof text);
    assert_non_null(strstr(text, "1 core ("));
    assert_non_null(strstr(text, " by affinity, a quota of 0.5)"));
    put("/sys/fs/cgroup/cpu.max", "100001 100000\n"); /* a little more than one: two, if there are */
    assert_int_equal(lzr_cores_find(root).n, CPU_COUNT(&set) < 2 ? 1 : 2);
    put("/sys/fs/cgroup/cpu.max", "99999900000 100000\n");
    assert_int_equal(lzr_cores_find(root).n, CPU_COUNT(&set));
    setenv("SLURM_CPUS_ON_NODE", "1", 1);
    c = lzr_cores_find(root);
    assert_int_equal(c.n, 1);
    lzr_cores_text(&c, text, sizeof text);
    assert_non_null(strstr(text, ", SLURM_CPUS_ON_NODE is 1)"));
    static const char *const nonsense[] = {"", "0", "-1", "many", "99999999999999999999"};
    for (size_t i = 0; i < sizeof nonsense / sizeof nonsense[0]; i++) {
        setenv("SLURM_CPUS_ON_NODE", nonsense[i], 1);
        assert_int_equal(lzr_cores_find(root).n, CPU_COUNT(&set));
    }
    unsetenv("SLURM_CPUS_ON_NODE");
    CPU_ZERO(&one);
    for (int i = 0; i < CPU_SETSIZE && CPU_COUNT(&one) == 0; i++) {
        if (CPU_ISSET(i, &set)) {
            CPU_SET(i, &one);
        }
    }
    assert_int_equal(sched_setaffinity(0, sizeof one, &one), 0);
    assert_int_equal(lzr_cores_find(root).n, 1);
    assert_int_equal(sched_setaffinity(0, sizeof set, &set), 0);
    assert_in_range(lzr_cores_find("").n, 1, CPU_COUNT(&set)); /* the machine's own */
}

static int remove_trees(void **state)
{
    char command[256];
    (void)state;
    const char *tmp = getenv("TMPDIR");
    (void)snprintf(command, sizeof command, "rm -rf '%.60s'/lzr-cores-%d-*",
                   tmp != NULL ? tmp : "/tmp", (int)getpid());
    return system(command);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_v2),
        cmocka_unit_test(test_v1),
        cmocka_unit_test(test_memory),
        cmocka_unit_test(test_nothing_there),
        cmocka_unit_test(test_least),
    };
    return cmocka_run_group_tests(tests, NULL, remove_trees);
}
