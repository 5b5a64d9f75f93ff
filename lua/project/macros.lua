--- The macros of the project, of its packages and of the built-in library (package "dbt"): found by their
-- tags, compiled when first called. Generic tests and materializations are macros, too.

local blocks = require "project.blocks"
local embed = require "dex.embed"
local err = require "err"
local files = require "project.files"
local fs = require "dex.fs"
local jinja = require "jinja"
local lua_macros = require "project.lua_macros"
local lpeg = require "lpeg"
local value = require "jinja.value"

local M = {}

--- A macro of the project. `template` and `fn` come into being when they are first read, and may raise a
--- template error then.
---@class dex.Macro
---@field name string as templates call it: test_x for a generic test, materialization_x_default
---@field package_name string
---@field unique_id string
---@field kind "macro"|"test"|"materialization"
---@field file string as messages name it
---@field original string path within its package
---@field line integer
---@field source string with its tags
---@field arguments string[]
---@field template table compiled
---@field fn table callable, to be bound to a context with fn:bind(ctx)

-- Names of the parameters in "(a, b=[1, 2], *args)".
local function arguments_of(header)
  local names = {}
  local inside = header:match("^%((.*)%)")
  if not inside then return names end
  local depth, start = 0, 1
  inside = inside .. ","
  for at, c in inside:gmatch("()([%[%]{}(),])") do
    if c == "," and depth == 0 then
      local name = inside:sub(start, at - 1):match("^%s*%**([%a_][%w_]*)")
      if name then names[#names + 1] = name end
      start = at + 1
    elseif c:find("[%[{(]") then
      depth = depth + 1
    elseif c ~= "," then
      depth = depth - 1
    end
  end
  return names
end

local lazy = {}

function lazy.arguments(macro) return arguments_of(macro.header) end

function lazy.template(macro)
  return jinja.compile(macro.source, { file = macro.file, line = macro.line })
end

function lazy.fn(macro)
  local found = macro.template:macros({})
  local _, fn = next(found)
  return found[macro.name] or fn
end

local Macro = { __name = "dex.macro", __index = function(macro, key)
  local make = lazy[key]
  if not make then return nil end
  local made = make(macro)
  rawset(macro, key, made)
  return made
end }

-- "test_unique" for {% test unique(...) %}, "materialization_view_default" for {% materialization view, default %}.
local function full_name(block)
  if block.kind == "test" then return "test_" .. block.name end
  if block.kind == "materialization" then
    local adapter = block.header:match("adapter%s*=%s*['\"]([%w_]+)['\"]") or "default"
    return ("materialization_%s_%s"):format(block.name, adapter)
  end
  return block.name
end

local macro_kinds = { macro = true, test = true, materialization = true }

local function add(project, package_name, block, display, original)
  local name = full_name(block)
  local id = ("macro.%s.%s"):format(package_name, name)
  local known = project.macros[id]
  if known then
    err.raise { code = 116, message = ("two macros of package '%s' have the name '%s': the other one is in %s, line %d")
      :format(package_name, name, known.file, known.line), file = display, line = block.line }
  end
  local macro = setmetatable({ name = name, package_name = package_name, unique_id = id, kind = block.kind,
    file = display, original = original, line = block.line, source = block.full, header = block.header }, Macro)
  project.macros[id] = macro
  project.macro_list[#project.macro_list + 1] = macro
  local index = project.macro_index[package_name]
  index[name] = macro
  return macro
end

local function add_file(project, package_name, source, display, original)
  for _, block in ipairs(blocks.find(source, { file = display }, macro_kinds)) do
    add(project, package_name, block, display, original)
  end
end

local function load_builtin(project)
  project.macro_index.dbt = {}
  for _, path in ipairs(embed.list("stdlib/")) do
    if path:sub(-4) == ".sql" then add_file(project, "dbt", embed.read(path), path, path:gsub("^stdlib/", "")) end
  end
end

-- What a Lua file defines: its functions are macros, too.
local function add_lua(project, package, trusted, file, found)
  for _, of in ipairs(found.macros) do
    local macro = add(project, package.name, { kind = "macro", name = of.name, line = of.line, full = of.source },
      file.display, file.original)
    macro.fn, macro.arguments = of.fn, of.arguments
  end
  for kind, box in pairs(project.template_operations) do
    for name, fn in pairs(found[kind]) do
      -- the project's own come first, and only they may stand for a built-in one
      if box[name] == nil and (trusted or not jinja.knows(kind, name)) then box[name] = fn end
    end
  end
end

local function load_lua(project, package)
  local trusted = package == project.packages[1]
  local modules = lua_macros.new(package, trusted)
  for _, file in ipairs(files.find(package, package.paths.macro, { ".lua" })) do
    project.problems:try({ file = file.display }, function()
      add_lua(project, package, trusted, file, lua_macros.load(modules, file))
    end)
  end
end

local function load_package(project, package)
  project.macro_index[package.name] = {}
  load_lua(project, package)
  local found = files.find(package, package.paths.macro, { ".sql" })
  local generic = {}
  for i, folder in ipairs(package.paths.test) do generic[i] = folder .. "/generic" end
  local tests = files.find(package, generic, { ".sql" })
  table.move(tests, 1, #tests, #found + 1, found)
  for _, file in ipairs(found) do
    project.problems:try({ file = file.display }, function()
      add_file(project, package.name, fs.read(file.abs), file.display, file.original)
    end)
  end
end

--- Fills project.macros (by unique_id), project.macro_list (in order) and project.macro_index (package -> name
--- -> macro). The root project's
--- macros are compiled at once, so that their errors are found, unless they are known to have none.
---@param project table
---@param sound? boolean they are known to compile
function M.load(project, sound)
  project.macros, project.macro_index, project.macro_list = {}, {}, {}
  project.template_operations = { filter = {}, test = {} }
  load_builtin(project)
  for _, package in ipairs(project.packages) do load_package(project, package) end
  jinja.extend(project.template_operations.filter, project.template_operations.test)
  for _, macro in ipairs(sound and {} or project.macro_list) do
    if macro.package_name == project.name and not rawget(macro, "fn") then
      project.problems:try({ file = macro.file }, function() return macro.template end)
    end
  end
end

--- A macro as a template of a package sees it by its bare name: the package's own, the root's, a built-in
--- one. With `package`, that package's only.
---@param project table
---@param name string
---@param from? string package of the caller
---@param package? string
---@return dex.Macro|nil
function M.find(project, name, from, package)
  local index = project.macro_index
  if package then return index[package] and index[package][name] end
  return from and index[from] and index[from][name] or index[project.name][name] or index.dbt[name]
end

--- The macro of a generic test.
---@param project table
---@param name string without test_
---@param from string package in which the test is used
---@param namespace? string package that is named
---@return dex.Macro|nil
function M.generic_test(project, name, from, namespace)
  return M.find(project, "test_" .. name, from, namespace)
end

--- Names of the generic tests that there are, as they are written in a properties file.
function M.test_names(project)
  local names = {}
  for _, macro in ipairs(project.macro_list) do
    local name = macro.kind == "test" and macro.name:match("^test_(.*)$")
    if name then
      local plain = macro.package_name == "dbt" or macro.package_name == project.name
      names[#names + 1] = plain and name or macro.package_name .. "." .. name
    end
  end
  return names
end

--- The materialization of a name: for the adapter before the default; a package may not replace a built-in
--- one behind the root's back (dbt's require_explicit_package_overrides_for_builtin_materializations).
---@param project table
---@param name string
---@return dex.Macro|nil
function M.materialization(project, name)
  local kinds = table.move(project.profile.adapter_types, 1, #project.profile.adapter_types, 1, {})
  kinds[#kinds + 1] = "default"
  for _, kind in ipairs(kinds) do
    local full = ("materialization_%s_%s"):format(name, kind)
    local own, builtin = project.macro_index[project.name][full], project.macro_index.dbt[full]
    if own or builtin then return own or builtin end
  end
  for _, kind in ipairs(kinds) do
    local full = ("materialization_%s_%s"):format(name, kind)
    for i = 2, #project.packages do
      local found = project.macro_index[project.packages[i].name][full]
      if found then return found end
    end
  end
end

--- Names of all materializations.
function M.materialization_names(project)
  local seen, names = {}, {}
  for _, macro in ipairs(project.macro_list) do
    local name = macro.kind == "materialization" and macro.name:match("^materialization_(.*)_[^_]+$")
    if name and not seen[name] then
      seen[name] = true
      names[#names + 1] = name
    end
  end
  table.sort(names)
  return names
end

-- The macro that adapter.dispatch would find.
local function dispatched(project, macro, name, namespace)
  for _, prefix in ipairs { "postgres__", "default__" } do
    local index = namespace and project.macro_index[namespace]
    local found = project.macro_index[project.name][prefix .. name] or index and index[prefix .. name]
      or M.find(project, prefix .. name, macro.package_name)
    if found then return found end
  end
end

-- What a text calls, in its order: the words before a parenthesis that are no method and no filter, and for
-- adapter.dispatch('name', 'package') a list of both.
local called_in = (function()
  local P, S, C, Ct = lpeg.P, lpeg.S, lpeg.C, lpeg.Ct
  local letter = lpeg.R("az", "AZ") + "_"
  local letters = letter + lpeg.R("09")
  local blank = S" \t\n\v\f\r"^0
  local quoted = blank * (letters + "=")^0 * blank * S"'\"" * C(letters^1) * S"'\""
  local dispatch = "adapter.dispatch(" * Ct(quoted * (blank * "," * quoted)^-1)
  local word = letter * (letters + ".")^0
  local item = S"|." * blank * word + dispatch + C(word) * blank * "(" + letters^1 + 1
  local close = S"%}" * "}"
  local tag = "{" * S"{%" * (item - close)^0 * close^-1
  local comment = "{#" * (1 - P"#}")^0 * "#}"
  local header = "{%" * (1 - P"%}")^0 * "%}"
  return Ct(header^-1 * (comment + tag + (1 - P"{")^1 + 1)^0)
end)()

--- The macros that a macro's text calls, by unique_id: found from its words, for the manifest.
---@param project table
---@param macro dex.Macro
---@return table list
function M.calls_of(project, macro)
  local found, seen = value.list(), {}
  local function note(other)
    if other and other ~= macro and not seen[other.unique_id] then
      seen[other.unique_id] = true
      found[#found + 1] = other.unique_id
    end
  end
  for _, call in ipairs(called_in:match(macro.source)) do
    if type(call) == "table" then
      note(dispatched(project, macro, call[1], call[2]))
    elseif not call:find(".", 1, true) then
      note(M.find(project, call, macro.package_name))
    else
      local package, name = call:match("^([%w_]+)%.([%w_]+)$")
      note(package and project.macro_index[package] and project.macro_index[package][name])
    end
  end
  return found
end

return M
