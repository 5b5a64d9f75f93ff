--- The variables of a project: --vars over the root project's `vars:` over the package's own, and within one
-- file the entry for the package over the common one, as dbt resolves them.

local err = require "err"
local value = require "jinja.value"

local M = {}

--- What the project holds as `project.vars`.
---@class dex.Vars
---@field cli table dict of --vars
---@field root string name of the root project
---@field files table<string, table> `vars:` of each package by its name
---@field merged table<string, table> by package, built at first use

---@param cli table dict
---@param root string
---@return dex.Vars
function M.new(cli, root)
  return { cli = cli, root = root, files = {}, merged = {} }
end

local function add(into, from, package)
  for k, v in pairs(from) do into[k] = v end
  local own = from[package]
  if value.is_dict(own) then
    for k, v in pairs(own) do into[k] = v end
  end
end

--- Every variable that a node of a package sees: a dict, not to be changed.
---@param vars dex.Vars
---@param package string
---@return table dict
function M.of(vars, package)
  local merged = vars.merged[package]
  if not merged then
    merged = value.dict()
    if package ~= vars.root and vars.files[package] then add(merged, vars.files[package], package) end
    if vars.files[vars.root] then add(merged, vars.files[vars.root], package) end
    for k, v in pairs(vars.cli) do merged[k] = v end
    vars.merged[package] = merged
  end
  return merged
end

--- Raises the error for a variable that has neither a value nor a default.
---@param name any
---@param known table dict of the variables that there are
---@param where? table fields of the error: file, line
function M.missing(name, known, where)
  local fields = { code = 108, message = ("required variable '%s' is not set"):format(tostring(name)),
    hint = err.did_you_mean(tostring(name), value.keys(known))
      or "give it under `vars:` in the project file or with --vars '{name: value}'" }
  for k, v in pairs(where or {}) do fields[k] = v end
  err.raise(fields)
end

--- The template function `var(name, default)` over a dict of variables.
---@param known table dict
---@param render? fun(text: string): any given, texts that hold Jinja are rendered as dbt does
---@return table callable
function M.callable(known, render)
  return value.fn("var(name, *args, **kwargs)", function(name, args, kwargs)
    local v
    if type(name) == "string" then v = rawget(known, name) end
    if v ~= nil then
      if render and type(v) == "string" and v:find("{[{%%#]") then return render(v) end
      return v
    end
    local default = args[1]
    if default == nil then default = kwargs.default end
    if default == nil then M.missing(name, known) end
    return default
  end)
end

return M
