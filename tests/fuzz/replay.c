/* Runs a fuzz target over the files and folders named, once each: the corpus as an ordinary test.
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int replay_file(const char *path)
{
    FILE *f = fopen(path, "rb");
    if (f == NULL || fseek(f, 0, SEEK_END) != 0) {
        perror(path);
        exit(1);
    }
    long n = ftell(f);
    /* Exactly as large as the input, so that a sanitizer sees the first byte beyond it. */
    uint8_t *data = malloc(n > 0 ? (size_t)n : 1);
    rewind(f);
    if (data == NULL || fread(data, 1, (size_t)n, f) != (size_t)n) {
        perror(path);
        exit(1);
    }
    (void)fclose(f);
    (void)LLVMFuzzerTestOneInput(data, (size_t)n);
    free(data);
    return 1;
}

static int replay(const char *path)
{
    struct stat st;
    int count = 0;
    if (stat(path, &st) != 0) {
        perror(path);
        exit(1);
    }
    if (!S_ISDIR(st.st_mode)) {
        return replay_file(path);
    }
    DIR *dir = opendir(path);
    for (struct dirent *e; dir != NULL && (e = readdir(dir)) != NULL;) {
        char name[4096];
        if (e->d_name[0] != '.') {
            (void)snprintf(name, sizeof name, "%s/%s", path, e->d_name);
            count += replay_file(name);
        }
    }
    if (dir != NULL) {
        (void)closedir(dir);
    }
    return count;
}

int main(int argc, char **argv)
{
    int count = 0;
    for (int i = 1; i < argc; i++) {
        count += replay(argv[i]);
    }
    (void)printf("%d inputs\n", count);
    return count > 0 ? 0 : 1;
}
