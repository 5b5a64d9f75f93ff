--- Objects of dbt's that are no dicts there: nodes, their settings and timings in the results of on-run-end.
-- A template reads their attributes, and `to_dict()` gives the dict; packages rely on both.

local object = require "run.object"
local value = require "jinja.value"

local M = {}

local none = value.none

--- Over a dict, in `of`; `lenient`: what is missing is None, as with dbt's config objects.
local Data = { __name = "dex.data", __pytype = "object" }

-- Parts that are objects as well.
local parts = { config = true }

Data.__getattr = function(data, name)
  local of = rawget(data, "of")
  local v = rawget(of, name)
  if v == nil then return rawget(data, "lenient") and type(name) == "string" and none or nil end
  if parts[name] and value.is_dict(v) then return M.of(v, true) end
  return v
end
Data.__getitem = Data.__getattr
Data.__contains = function(data, name) return rawget(rawget(data, "of"), name) ~= nil end
Data.__tojson = function(data) return rawget(data, "of") end
Data.__tostring = function(data) return require("jinja.printing").str(rawget(data, "of")) end
Data.__eq = function(a, b) return rawequal(rawget(a, "of"), rawget(b, "of")) end

Data.__methods = object.entries(object.methods {
  ["to_dict(omit_none=false)"] = function(data, omit)
    local dict = value.copy_dict(rawget(data, "of"))
    for key, v in pairs(rawget(data, "of")) do
      if omit == true and v == none then value.del(dict, key) end
    end
    return dict
  end,
  ["get(key, default=none)"] = function(data, key, default)
    local v = rawget(rawget(data, "of"), key)
    if v == nil then return default end
    return v
  end,
})

--- The object of a dict, which stays as it is.
---@param dict table
---@param lenient? boolean what is missing is None, not undefined
---@return table
function M.of(dict, lenient) return setmetatable({ of = dict, lenient = lenient }, Data) end

return M
