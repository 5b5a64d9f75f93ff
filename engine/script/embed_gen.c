/*
 * Built first and run by the Makefile: `embed_gen OUT.c FOLDER...` writes the C table that
 * script/embed.h describes. Plain C, so that building needs no Lua interpreter. The same files give
 * the same bytes, whatever order the system lists folders in. Names that begin with a dot or end
 * with `~` are left out.
 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

struct paths {
    char **items;
    size_t count;
};

static void die(const char *what, const char *path)
{
    fprintf(stderr, "embed_gen: %s %s: %s\n", what, path, strerror(errno));
    exit(1);
}

static void *must(void *p)
{
    if (!p)
        die("out of memory", "");
    return p;
}

static void gather(struct paths *paths, const char *dir)
{
    DIR *d = opendir(dir);
    if (!d)
        die("cannot open", dir);
    struct dirent *entry;
    while ((entry = readdir(d))) {
        size_t len = strlen(entry->d_name);
        if (entry->d_name[0] == '.' || entry->d_name[len - 1] == '~')
            continue;
        char *path = must(malloc(strlen(dir) + len + 2));
        sprintf(path, "%s/%s", dir, entry->d_name);
        struct stat st;
        if (stat(path, &st) < 0)
            die("cannot read", path);
        if (S_ISDIR(st.st_mode)) {
            gather(paths, path);
            free(path);
        } else {
            paths->items = must(realloc(paths->items, (paths->count + 1) * sizeof *paths->items));
            paths->items[paths->count++] = path;
        }
    }
    closedir(d);
}

static int by_bytes(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* One string literal per line of the file; returns the file's length. */
static unsigned long write_data(FILE *out, const char *path)
{
    FILE *in = fopen(path, "rb");
    if (!in)
        die("cannot open", path);
    unsigned long len = 0;
    int c, fresh = 1;
    while ((c = getc(in)) != EOF) {
        if (fresh)
            fputs("\n        \"", out);
        fresh = c == '\n';
        if (c == '\n')
            fputs("\\n\"", out);
        else if (c == '"' || c == '\\' || c == '?')
            fprintf(out, "\\%c", c);
        else if (c < ' ' || c > '~')
            fprintf(out, "\\%03o", (unsigned)c);
        else
            putc(c, out);
        len++;
    }
    if (ferror(in))
        die("cannot read", path);
    fclose(in);
    fputs(fresh ? (len ? "" : "\"\"") : "\"", out);
    return len;
}

int main(int argc, char **argv)
{
    struct paths paths = { NULL, 0 };
    if (argc < 3) {
        fputs("usage: embed_gen OUT.c FOLDER...\n", stderr);
        return 2;
    }
    for (int i = 2; i < argc; i++)
        gather(&paths, argv[i]);
    if (paths.count > 0)
        qsort(paths.items, paths.count, sizeof *paths.items, by_bytes);
    FILE *out = fopen(argv[1], "wb");
    if (!out)
        die("cannot create", argv[1]);
    fputs("/* Made by embed_gen. */\n#include \"script/embed.h\"\n\n"
          "const struct embed_file embed_files[] = {\n",
          out);
    for (size_t i = 0; i < paths.count; i++) {
        fprintf(out, "    { \"%s\",", paths.items[i]);
        unsigned long len = write_data(out, paths.items[i]);
        fprintf(out, ",\n        %lu },\n", len);
        free(paths.items[i]);
    }
    fprintf(out, "    { NULL, NULL, 0 }\n};\n\nconst size_t embed_count = %lu;\n",
            (unsigned long)paths.count);
    free(paths.items);
    if (fclose(out) != 0)
        die("cannot write", argv[1]);
    return 0;
}
