/* dex.draft: files that are written bit by bit and take their place at the end. None of it waits.
 */
#include <lauxlib.h>

#include "base/draft.h"
#include "script/libs.h"
#include "script/lua_err.h"

#define DRAFT "dex.draft"

struct draft_object {
    struct draft *draft; /* NULL when it was published or dropped */
};

static struct draft_object *check(lua_State *L)
{
    struct draft_object *object = luaL_checkudata(L, 1, DRAFT);
    if (!object->draft)
        luaL_error(L, "this draft was published or dropped already");
    return object;
}

/* draft:drop(): what was written is gone; the file stays as it was. Harmless at any time. */
static int draft_drop(lua_State *L)
{
    struct draft_object *object = luaL_checkudata(L, 1, DRAFT);
    draft_free(object->draft);
    object->draft = NULL;
    return 0;
}

/* draft:write(text): at its end. Raises 110. */
static int draft_add(lua_State *L)
{
    struct draft_object *object = check(L);
    size_t len;
    const char *text = luaL_checklstring(L, 2, &len);
    struct err e = ERR_INIT;
    if (draft_write(object->draft, text, len, &e) < 0)
        return lua_err_raise(L, &e);
    return 0;
}

/* draft:publish(): it becomes the file, in one step. Raises 110, and the file stays as it was. */
static int draft_take_place(lua_State *L)
{
    struct draft_object *object = check(L);
    struct err e = ERR_INIT;
    int bad = draft_publish(object->draft, &e) < 0;
    draft_free(object->draft);
    object->draft = NULL;
    return bad ? lua_err_raise(L, &e) : 0;
}

/* draft.new(path) -> a draft of the file. Raises 110. */
static int new_draft(lua_State *L)
{
    const char *path = luaL_checkstring(L, 1);
    struct draft_object *object = lua_newuserdatauv(L, sizeof *object, 0);
    object->draft = NULL;
    luaL_setmetatable(L, DRAFT);
    struct err e = ERR_INIT;
    object->draft = draft_new(path, &e);
    return object->draft ? 1 : lua_err_raise(L, &e);
}

int luaopen_dex_draft(lua_State *L)
{
    static const luaL_Reg functions[] = { { "new", new_draft }, { NULL, NULL } };
    static const luaL_Reg methods[] = { { "write", draft_add },
                                        { "publish", draft_take_place },
                                        { "drop", draft_drop },
                                        { NULL, NULL } };
    luaL_newmetatable(L, DRAFT);
    lua_pushcfunction(L, draft_drop);
    lua_setfield(L, -2, "__gc");
    luaL_newlib(L, methods);
    lua_setfield(L, -2, "__index");
    lua_pop(L, 1);
    luaL_newlib(L, functions);
    return 1;
}
