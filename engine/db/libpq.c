#include "db/libpq.h"

#include <dlfcn.h>

#include "db/adapter.h"

#if defined(__APPLE__)
#define NAME "libpq.5.dylib"
#else
#define NAME "libpq.so.5"
#endif

/* LIBPQ_DIR: where it was when the program was built, should the system not find it. */

static struct libpq functions;
static void *library;

/* In the order of the fields. */
static const char *const names[] = {
#define LIBPQ_NAME(name) #name,
    LIBPQ_FUNCTIONS(LIBPQ_NAME)
#undef LIBPQ_NAME
};

/* A field is as large as any pointer to a function. */
static void set_field(size_t i, void *address)
{
    ((void **)(void *)&functions)[i] = address;
}

int libpq_load(struct err *e)
{
    if (library)
        return 0;
    void *found = dlopen(NAME, RTLD_NOW | RTLD_LOCAL);
    if (!found)
        found = dlopen(LIBPQ_DIR "/" NAME, RTLD_NOW | RTLD_LOCAL);
    if (!found) {
        err_set(e, DB_CONNECT, "PostgreSQL's client library cannot be loaded: %s", dlerror());
        return err_hint(e, "install libpq (Debian: libpq5)");
    }
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        void *address = dlsym(found, names[i]);
        if (!address) {
            err_set(e, DB_CONNECT, "PostgreSQL's client library is too old: it lacks %s", names[i]);
            dlclose(found);
            return -1;
        }
        set_field(i, address);
    }
    library = found;
    return 0;
}

const struct libpq *libpq_functions(void)
{
    return &functions;
}
