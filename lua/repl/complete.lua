--- Completion of what is typed: names of Lua, of the project and of the database, found in sorted lists.

local dots = require "repl.dots"
local reach = require "repl.reach"
local value = require "jinja.value"

local M = {}

local opt = value.opt
local MOST = 1000

--- Sorted lists by kind: node, relation, source, column, macro, operation.
---@class repl.Names

-- A sorted list without what is there twice.
local function sorted(set)
  local list = {}
  for name in pairs(set) do list[#list + 1] = name end
  table.sort(list)
  return list
end

-- Those of a sorted list that begin with a prefix.
local function matching(list, prefix, into)
  local low, high = 1, #list + 1
  while low < high do
    local middle = (low + high) // 2
    if list[middle] < prefix then low = middle + 1 else high = middle end
  end
  local i = low
  while list[i] and list[i]:sub(1, #prefix) == prefix and #into < MOST do
    into[#into + 1] = list[i]
    i = i + 1
  end
end

--- The names of a project.
---@param project table
---@return repl.Names
function M.of_project(project)
  local kinds = { node = {}, relation = {}, source = {}, column = {}, macro = {}, operation = {} }
  require("project.members").each(project, function(_, node)
    local kind = node.resource_type
    if kind == "source" then
      kinds.source[node.source_name .. "." .. node.name] = true
    elseif kind ~= "test" and kind ~= "operation" then
      kinds.node[node.name] = true
    end
    local schema, name = opt(node.schema), opt(node.alias) or opt(node.identifier)
    if kind ~= "test" and schema and name then kinds.relation[schema .. "." .. name] = true end
    for column in pairs(opt(node.columns) or {}) do kinds.column[column] = true end
  end)
  for _, package in ipairs { project.name, "dbt" } do
    for name, macro in pairs(project.macro_index[package] or {}) do
      if macro.unique_id then kinds.macro[name] = true end
    end
  end
  for name in pairs(project.operations) do kinds.operation[name] = true end
  for kind, set in pairs(kinds) do kinds[kind] = sorted(set) end
  return kinds
end

-- What is known before the project is read: the names that an earlier command has left.
local function of_file(w)
  local given = w.job.given
  local names = require("help.names").read((given.project_dir or ".") .. "/" .. (given.target_path or "target"))
  local kinds = { node = names.node or {}, source = {}, macro = names.macro or {}, operation = names.operation or {},
    relation = {}, column = {} }
  for i, name in ipairs(names.source or {}) do kinds.source[i] = name:gsub("^source:", "") end
  for _, list in pairs(kinds) do table.sort(list) end
  return kinds
end

local function names_of(w)
  if w.loaded then
    if not w.names then w.names = M.of_project(w.loaded.project) end
    return w.names
  end
  if not w.early then w.early = of_file(w) end
  return w.early
end

-- which names a function's first text is
local of_function = { ref = { "node" }, node = { "node" }, show = { "node" }, compile = { "node" }, hooks = { "node" },
  nodes = { "node", "source" }, source = { "source" }, macro = { "macro" }, op = { "operation" },
  select = { "node", "source" }, exclude = { "node", "source" } }

local any_text = { "node", "relation", "column", "source" }

--- Fields of what a path such as `a.b` means, looked at without calling anything.
---@param get fun(name: string): any what its first name means
---@param path string
---@param prefix string
---@return string[]
function M.fields(get, path, prefix)
  local v
  for part in path:gmatch("[^.]+") do
    if v == nil then v = get(part) else v = type(v) == "table" and rawget(v, part) or nil end
    if v == nil then return {} end
  end
  local set = {}
  local from = type(v) == "string" and string or v
  for key in next, type(from) == "table" and from or {} do
    if type(key) == "string" and key:find("^[%a_][%w_]*$") and key:sub(1, #prefix) == prefix then set[key] = true end
  end
  return sorted(set)
end

--- The methods of `hook`, behind a colon, or its fields.
---@param prefix string
---@param colon boolean
---@return string[]
function M.hook_names(prefix, colon)
  local field_names, method_names = require("run.hook_object").surface()
  local found = {}
  matching(colon and method_names or field_names, prefix, found)
  return found
end

local keywords = { "and", "break", "do", "else", "elseif", "end", "false", "for", "function", "goto", "if", "in",
  "local", "nil", "not", "or", "repeat", "return", "then", "true", "until", "while" }

-- Names that may stand by themselves.
local function free(w, prefix)
  local set = {}
  for _, list in ipairs { keywords, reach.names(w) } do
    for _, name in ipairs(list) do
      if name:sub(1, #prefix) == prefix then set[name] = true end
    end
  end
  for _, from in ipairs { w.scope, _G } do
    for name in next, from do
      if type(name) == "string" and name:sub(1, #prefix) == prefix then set[name] = true end
    end
  end
  if prefix ~= "" then
    local macros = {}
    matching(names_of(w).macro, prefix, macros)
    for _, name in ipairs(macros) do set[name] = true end
  end
  return sorted(set)
end

-- The kinds of names that fit into the text in quotes that ends the line; nil outside of quotes.
local function quoted(before)
  local quote
  for c in before:gmatch("[\"']") do
    if not quote then quote = c elseif quote == c then quote = nil end
  end
  if not quote then return nil end
  local head = before:match("^(.*)" .. quote) or ""
  local name = head:match("([%a_]+)%s*%(?%s*$") or head:match("([%a_]+)%s*=%s*$")
  return of_function[name] or any_text
end

--- What may stand for the word before the cursor. Does not wait.
---@param w repl.Workspace
---@param sql boolean whether the line is SQL
---@param text string
---@param cursor integer a byte; 1 is before the first
---@return integer from
---@return string[] names
function M.find(w, sql, text, cursor)
  local before = text:sub(1, cursor - 1)
  local dot = before:match("^%s*%.(%a*)$")
  local found = {}
  if dot then
    for _, one in ipairs(dots.list(w)) do
      if one[1]:sub(1, #dot) == dot then found[#found + 1] = one[1] end
    end
    return cursor - #dot, found
  end
  local kinds = before:find("^%s*%.s") and { "node", "source" } or sql and any_text or quoted(before)
  if kinds then
    local word = before:match("[%w_%.]*$")
    for _, kind in ipairs(kinds) do matching(names_of(w)[kind], word, found) end
    return cursor - #word, found
  end
  local owner, colon, method = before:match("([%a_][%w_%.]*)([:.])([%w_]*)$")
  if owner == "hook" then return cursor - #method, M.hook_names(method, colon == ":") end
  local of_place = w.place and w.place:fields(owner)
  if of_place then
    matching(of_place, method, found)
    return cursor - #method, found
  end
  if owner == "dex" then owner, method = nil, method end
  if owner then
    return cursor - #method, M.fields(function(name)
      local v = rawget(w.scope, name)
      if v == nil then v = rawget(_G, name) end
      return v
    end, owner, method)
  end
  local word = before:match("[%a_][%w_]*$") or ""
  return cursor - #word, free(w, word)
end

return M
