--- What every template has, whatever it is for: needs neither a project nor a database.

local err = require "err"
local functions_of = require "jinja.builtins"
local value = require "jinja.value"

local M = {}

--- The version of dbt whose context this is: packages compare it with what they need.
M.DBT_VERSION = "1.12.3"

-- validation.any(a, b): a function that fails for every other value.
local function any_validator(allowed)
  return function(v)
    local ops = require "jinja.ops"
    for _, one in ipairs(allowed) do
      if ops.eq(one, v) then return value.none end
    end
    local str = require("jinja").str
    local shown = {}
    for i, one in ipairs(allowed) do shown[i] = str(one) end
    err.raise { code = 236, message = ('expected value "%s" to be one of %s'):format(str(v), table.concat(shown, ",")) }
  end
end

local function constant(v) return function() return v end end

local functions = {
  otel_trace_id = constant(("0"):rep(32)),
  otel_span_id = constant(("0"):rep(16)),
  dbt_version = M.DBT_VERSION,
  validation = value.dict("any", value.fn("any(*args)", any_validator)),
}
for _, name in ipairs { "fromjson", "tojson", "fromyaml", "toyaml", "set", "set_strict", "zip", "zip_strict",
  "local_md5", "diff_of_two_dicts" } do
  functions[name] = functions_of[name]
end

functions["return"] = require("jinja").globals["return"]

-- The modules are loaded by the first template that looks at them.
setmetatable(functions, { __index = function(t, name)
  if name ~= "modules" then return nil end
  local modules = functions_of.modules()
  rawset(t, "modules", modules)
  return modules
end })

--- The functions by name. One table for all contexts: it is not to be changed.
---@return table<string, any>
function M.pure() return functions end

return M
