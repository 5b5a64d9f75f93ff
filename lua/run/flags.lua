--- `flags` in templates: what the command line says, under dbt's names: FULL_REFRESH, WHICH, STORE_FAILURES, ...

local asked = require "project.asked"
local printing = require "jinja.printing"
local value = require "jinja.value"

local M = {}

local none, opt = value.none, value.opt

local Flags = { __name = "dex.flags" }

-- dbt's flags and what they are when nobody sets them.
local defaults = {
  full_refresh = false, store_failures = false, fail_fast = false, empty = false, debug = false, warn_error = false,
  use_colors = true, partial_parse = false, static_parser = true, version_check = true,
  send_anonymous_usage_stats = false,
  printer_width = 80, indirect_selection = "eager", cache_selected_only = false, introspect = true, print = true,
  quiet = false, write_json = true, log_format = "default", log_cache_events = false, populate_cache = true,
  use_experimental_parser = false, defer = false, favor_state = false, require_sql_header_in_test_configs = true,
  target_path = none, invocation_command = none, which = none, profile = none, target = none, threads = none,
  vars = none, select = none, exclude = none,
}

local function lookup(flags, name)
  local lower = name:lower()
  asked.name("flags", lower)
  for _, from in ipairs(flags.from) do
    local v = rawget(from, lower)
    if v ~= nil then return v end
  end
  return defaults[lower]
end

Flags.__getattr = function(flags, name)
  local v = lookup(flags, name)
  if type(v) == "table" and not getmetatable(v) then v = value.list(table.move(v, 1, #v, 1, {})) end
  return v
end
Flags.__getitem = Flags.__getattr
Flags.__index = function(flags, name)
  if type(name) == "string" then return opt(lookup(flags, name)) end
end
Flags.__contains = function(flags, name) return lookup(flags, name) ~= nil end
Flags.__pairs = function(flags)
  asked.all("args")
  local seen, order = {}, {}
  for _, from in ipairs { table.unpack(flags.from), defaults } do
    for name in next, from do
      if type(name) == "string" and not seen[name] then
        seen[name] = true
        order[#order + 1] = name
      end
    end
  end
  table.sort(order)
  local i = 0
  return function()
    i = i + 1
    if order[i] then return order[i], lookup(flags, order[i]) end
  end
end
Flags.__repr = function() return "<flags>" end

--- The flags of a run, or of a project that is being parsed.
---@param project table with `flags`, `command` and `args`
---@param run? table with `which`, `full_refresh`, `fail_fast`
function M.new(project, run)
  local own = {
    which = run and run.which or project.command,
    full_refresh = run and run.full_refresh, fail_fast = run and run.fail_fast,
    warn_error_options = value.dict("error", value.list(), "warn", value.list(), "silence", value.list()),
  }
  return setmetatable({ from = { own, project.flags or {}, opt(project.args) or {},
    project.config and opt(project.config.flags) or {} } }, Flags)
end

--- What a flag is while files are parsed, as text that tells one value from another.
---@param project table
---@param name string in lower case
---@return string
function M.fingerprint(project, name)
  local v = lookup(M.new(project), name)
  if type(v) == "table" and not getmetatable(v) then v = value.list(table.move(v, 1, #v, 1, {})) end
  return printing.repr(value.or_none(v))
end

--- The flags of a state: one object for a run.
---@param state table with `project`, and `run` unless files are parsed
function M.of(state)
  local run = state.run
  if not run then return M.new(state.project) end
  if not run.flags then run.flags = M.new(state.project, run) end
  return run.flags
end

return M
