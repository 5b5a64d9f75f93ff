/* dex.json, the module: encoding in json_encode.c, decoding in json_decode.c. */
#include <lauxlib.h>

#include "script/json.h"
#include "script/libs.h"

static const luaL_Reg functions[] = {
    { "decode", json_decode },
    { "encode", json_encode },
    { NULL, NULL },
};

int luaopen_dex_json(lua_State *L)
{
    luaL_newlib(L, functions);
    return 1;
}
