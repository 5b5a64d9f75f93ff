/*
 * Built first and run by the Makefile: `embed_gen OUT.c FOLDER...` writes the C table that
 * script/embed.h describes. Plain C with Lua's library, so that building needs no interpreter. The
 * same files give the same bytes, whatever order the system lists folders in. Names that begin with
 * a dot or end with `~` are left out.
 */
#include <dirent.h>
#include <errno.h>
#include <lauxlib.h>
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

static void write_byte(FILE *out, int c)
{
    if (c == '\n')
        fputs("\\n", out);
    else if (c == '"' || c == '\\' || c == '?')
        fprintf(out, "\\%c", c);
    else if (c < ' ' || c > '~')
        fprintf(out, "\\%03o", (unsigned)c);
    else
        putc(c, out);
}

/* One string literal for each line. */
static void write_data(FILE *out, const char *data, size_t len)
{
    int fresh = 1;
    for (size_t i = 0; i < len; i++) {
        if (fresh)
            fputs("\n        \"", out);
        fresh = data[i] == '\n';
        write_byte(out, (unsigned char)data[i]);
        if (fresh)
            putc('"', out);
    }
    fputs(fresh ? (len ? "" : "\"\"") : "\"", out);
}

struct code {
    FILE *out;
    size_t len;
};

static int write_code(lua_State *L, const void *data, size_t size, void *arg)
{
    (void)L;
    struct code *code = arg;
    const unsigned char *bytes = data;
    for (size_t i = 0; i < size; i++, code->len++) {
        if (code->len % 64 == 0)
            fputs(code->len ? "\"\n        \"" : "\n        \"", code->out);
        write_byte(code->out, bytes[i]);
    }
    return 0;
}

/*
 * The compiled form, under the name that script/vm.c gives to the source. A file with a mistake has
 * none: the mistake is reported when the file is loaded.
 */
static size_t write_compiled(FILE *out, const char *path, const char *data, size_t len)
{
    struct code code = { out, 0 };
    size_t end = strlen(path);
    lua_State *L = must(luaL_newstate());
    const char *name = lua_pushfstring(L, "@%s", path);
    if (end > 4 && strcmp(path + end - 4, ".lua") == 0 &&
        luaL_loadbufferx(L, data, len, name, "t") == LUA_OK)
        lua_dump(L, write_code, &code, 0);
    lua_close(L);
    fputs(code.len ? "\"" : " NULL", out);
    return code.len;
}

/* The file's content, for the caller to free. */
static char *read_file(const char *path, size_t *len)
{
    FILE *in = fopen(path, "rb");
    if (!in)
        die("cannot open", path);
    char *data = NULL;
    size_t n = 1;
    for (*len = 0; n > 0; *len += n) {
        data = must(realloc(data, *len + 65536));
        n = fread(data + *len, 1, 65536, in);
    }
    if (ferror(in))
        die("cannot read", path);
    fclose(in);
    return data;
}

static void write_file(FILE *out, const char *path)
{
    size_t len;
    char *data = read_file(path, &len);
    fprintf(out, "    { \"%s\",", path);
    write_data(out, data, len);
    fprintf(out, ",\n        %zu,", len);
    size_t code_len = write_compiled(out, path, data, len);
    fprintf(out, ", %zu },\n", code_len);
    free(data);
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
        write_file(out, paths.items[i]);
        free(paths.items[i]);
    }
    fprintf(out, "    { NULL, NULL, 0, NULL, 0 }\n};\n\nconst size_t embed_count = %lu;\n",
            (unsigned long)paths.count);
    free(paths.items);
    if (fclose(out) != 0)
        die("cannot write", argv[1]);
    return 0;
}
