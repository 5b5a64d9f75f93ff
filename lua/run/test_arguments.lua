--- The arguments of a generic test, each rendered to a value of its own.

local jinja = require "jinja"
local value = require "jinja.value"

local M = {}

local calls = { env_var = true, ref = true, var = true, source = true, doc = true }

local function rendered(v, ctx, key)
  if type(v) == "string" then
    if key == "column_name" then return v end
    local fn = v:match("^%s*([%a_]+)%s*%(.+%)%s*$")
    return jinja.render_native(fn and calls[fn] and "{{ " .. v .. " }}" or v, ctx)
  elseif value.is_dict(v) then
    local copy = value.dict()
    for k, item in pairs(v) do copy[k] = rendered(item, ctx) end
    return copy
  elseif value.is_list(v) then
    local copy = value.list()
    for i, item in ipairs(v) do copy[i] = rendered(item, ctx) end
    return copy
  end
  return v
end

--- What a test's macro is called with. May wait where an argument's template does.
---@param node table
---@param ctx table the node's context
---@return table|nil dict; nil for what is no generic test
function M.of(node, ctx)
  local given = value.opt(node.test_metadata)
  if not given then return nil end
  local kwargs = value.dict()
  for k, v in pairs(given.kwargs or value.dict()) do kwargs[k] = rendered(v, ctx, k) end
  return kwargs
end

return M
