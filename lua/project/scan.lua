--- What a node's SQL depends on and how it configures itself: refs, sources, config() calls, macros. Found
-- from the text when that is plain enough, else by one render with `execute` false.

local build = require "project.node"
local err = require "err"
local jinja = require "jinja"
local literal = require "project.literal"
local macros = require "project.macros"
local merge = require "project.merge"
local unrendered = require "project.unrendered"
local value = require "jinja.value"
local vars = require "project.vars"

local M = {}

--- What was found. `refs` and `sources` are lists as in the manifest, `config` is a dict, `macros` a set.
---@class dex.Capture
---@field refs table
---@field sources table
---@field functions table
---@field metrics table
---@field config table
---@field macros table<string, boolean>
---@field written table|nil dict: the first config() call for `unrendered_config`, when the text was plain

---@return dex.Capture
function M.new_capture()
  return { refs = value.list(), sources = value.list(), functions = value.list(), metrics = value.list(),
    config = value.dict(), macros = {} }
end

local handlers = {}

function handlers.ref(capture, call)
  local words, version = {}, nil
  for _, arg in ipairs(call.args) do
    if arg.positional and type(arg.value) == "string" then
      words[#words + 1] = arg.value
    elseif not arg.positional and (arg.keyword == "version" or arg.keyword == "v") and version == nil then
      version = value.opt(arg.value)
      if version ~= nil and type(version) ~= "string" and type(version) ~= "number" then return false end
    else
      return false
    end
  end
  if #words < 1 or #words > 2 then return false end
  capture.refs[#capture.refs + 1] = build.ref(words[2] or words[1], words[2] and words[1], version)
  return true
end

function handlers.source(capture, call)
  local a, b = call.args[1], call.args[2]
  if #call.args ~= 2 or not a.positional or not b.positional then return false end
  if type(a.value) ~= "string" or type(b.value) ~= "string" then return false end
  capture.sources[#capture.sources + 1] = value.list { a.value, b.value }
  return true
end

function handlers.config(capture, call)
  local settings
  local first = call.args[1]
  if #call.args == 1 and first.positional then
    settings = first.value
    if not value.is_dict(settings) then return false end
  elseif not first then
    return false
  else
    settings = value.dict()
    for _, arg in ipairs(call.args) do
      if arg.positional then return false end
      settings[arg.keyword] = arg.value
    end
  end
  if not capture.written and not first.positional then
    capture.written = value.dict()
    for key, v in pairs(settings) do capture.written[key] = unrendered.constant(v) end
  end
  -- both spellings of a hook are refused later, with the other places where hooks are written
  merge.calls(capture.config, merge.named(settings) or settings)
  return true
end

function handlers.var(_, call, project, node)
  local first = call.args[1]
  if not first or not first.positional or type(first.value) ~= "string" then return false end
  if #call.args > 1 then return true end
  local v = vars.of(project.vars, node.package_name)[first.value]
  return v ~= nil and (type(v) ~= "string" or not v:find("{[{%%#]"))
end

-- Whether a name that is read from the text is a macro, of the project's or of the package's own.
local function overridden(project, node, name)
  local macro = macros.find(project, name, node.package_name)
  return macro and macro.package_name ~= "dbt"
end

-- The capture of a text that is plain enough, else nil.
local function from_text(project, node, source)
  local calls = literal.calls(source)
  if not calls or overridden(project, node, "this") or overridden(project, node, "target") then return nil end
  local capture = M.new_capture()
  if calls.incremental then
    local macro = macros.find(project, "is_incremental", node.package_name)
    if not macro or macro.package_name ~= "dbt" then return nil end
    capture.macros[macro.unique_id] = true
  end
  for _, call in ipairs(calls) do
    if overridden(project, node, call.name) then return nil end
    if not handlers[call.name](capture, call, project, node) then return nil end
  end
  return capture
end

--- Finds what a template refers to. May wait: rendering calls macros.
---@param project table
---@param node table the node as far as it is known
---@param source string
---@param compile fun(): table gives the compiled template, after completing the node for its render
---@return dex.Capture
function M.template(project, node, source, compile)
  local capture = not project.no_literals and from_text(project, node, source)
  if capture then return capture end
  capture = M.new_capture()
  local template = compile()
  local ok, e = pcall(template.read, template, require("run.context").parse_context(project, node, capture))
  if not ok then
    -- dbt's best-known stumbling block
    if err.is(e) and not e.hint and e.message:find("^'NoneType' object has no attribute") then
      e.hint = "queries give no result while files are read: write {% if execute %} around what uses one"
    end
    error(e, 0)
  end
  return capture
end

-- Notes what a hook's text refers to in the node that runs it.
local function note(project, node, capture)
  for _, ref in ipairs(capture.refs) do node.refs[#node.refs + 1] = ref end
  for _, source in ipairs(capture.sources) do node.sources[#node.sources + 1] = source end
  M.note_macros(project, node, capture)
end

--- Adds the macros of a capture to the node's depends_on.
function M.note_macros(_, node, capture)
  local list = node.depends_on.macros
  local known = {}
  for _, id in ipairs(list) do known[id] = true end
  local more = {}
  for id in pairs(capture.macros) do
    if not known[id] then more[#more + 1] = id end
  end
  table.sort(more)
  for _, id in ipairs(more) do list[#list + 1] = id end
end

--- Finds the refs of a hook's SQL, which are dependencies of the node as in dbt. The result is kept by text,
--- since one line of a project file may hang a hook on every model. A text that cannot be rendered yet is
--- left for its run, where it is that hook's own failure; one that cannot be compiled is an error now.
---@param project table
---@param node table
---@param hook dex.Hook
function M.hook(project, node, hook)
  local key = node.package_name .. "\0" .. hook.sql
  local capture = project.hook_captures[key]
  if capture == nil then
    capture = from_text(project, node, hook.sql)
    if not capture then
      local template = jinja.compile(hook.sql, { file = hook.file, line = hook.line or 1 })
      capture = M.new_capture()
      local context = require("run.context").parse_context(project, node, capture)
      local ok, e = pcall(template.read, template, context)
      if not ok and not err.is(e) then error(e, 0) end
    end
    project.hook_captures[key] = capture
  end
  if #capture.refs > 0 or #capture.sources > 0 then
    if node.resource_type == "seed" then
      err.raise { code = 308,
        message = ("seed '%s' has a hook with ref() or source(): seeds cannot depend on other nodes")
        :format(node.name), file = hook.file, line = hook.line }
    end
    note(project, node, capture)
  elseif next(capture.macros) then
    M.note_macros(project, node, capture)
  end
end

--- The refs, sources and settings of a Python model, found in its text: dbt.ref("x"), dbt.source("a", "b"),
--- dbt.config(materialized="table").
---@param source string
---@return dex.Capture
function M.python(source)
  local capture = M.new_capture()
  source = source:gsub("#[^\n]*", "")
  for fn, args in source:gmatch("dbt%.(%a+)(%b())") do
    if fn == "ref" or fn == "source" or fn == "config" then
      local call = literal.call(fn .. args)
      if call then handlers[fn](capture, call) end
    end
  end
  return capture
end

return M
