--- Who sees which assignment: Jinja2's rules, read from the syntax tree before code is written.
-- A scope is the template, the body of a loop, macro, call, with, set block, filter block. `if` is none.

local M = {}

-- Calls f(node) for every name node in an expression or list of nodes of any depth; f may return false to stop.
local function each_name(node, f)
  if type(node) ~= "table" then return end
  if node.tag == "name" then return f(node.name, node) end
  for key, child in pairs(node) do
    if type(child) == "table" and key ~= "params" and key ~= "names" then each_name(child, f) end
  end
end

local function target_names(target, add)
  if target.tag == "name" then
    add(target.name)
  elseif target.tag == "tuple" then
    for _, item in ipairs(target.items) do target_names(item, add) end
  end
end

local analyse

local function load_name(state, name)
  if not state.first[name] then state.first[name] = "load" end
end

-- what a statement's own expressions read: a part of the template's list, see parser.lua
local function load(state, node)
  local reads = state.reads
  for i = node.first, node.last do load_name(state, reads[i]) end
end

-- the same for expressions that the parser notes no part for
local function load_nodes(state, nodes)
  each_name(nodes, function(name) load_name(state, name) end)
end

local function store(state, name)
  if not state.first[name] then state.first[name] = "store" end
  if not state.stored[name] then
    state.stored[name] = true
    state.names[#state.names + 1] = name
  end
end

local function store_target(state, target)
  if target.tag == "nsref" then load_name(state, target.name) end
  target_names(target, function(name) store(state, name) end)
end

local events = { ["print"] = load, ["do"] = load, ["callblock"] = load, ["for"] = load, ["autoescape"] = load }

events["group"] = function(s, n) analyse(s, n.body) end
events["set"] = function(s, n)
  load(s, n)
  store_target(s, n.target)
end
events["setblock"] = function(s, n)
  load_nodes(s, n.filter)
  store_target(s, n.target)
end
events["filterblock"] = function(s, n) load_nodes(s, n.filter) end
events["macro"] = function(s, n)
  if not s.skip_macros then store(s, n.name) end
end
events["with"] = function(s, n) load_nodes(s, n.values) end
events["loader"] = function(s, n)
  load_nodes(s, n.exprs)
  for _, name in ipairs(n.stores or {}) do store(s, name) end
end

events["if"] = function(s, n)
  local branches = {}
  local function branch(test, body)
    if test then load(s, test) end
    local b = { first = setmetatable({}, { __index = s.first }), stored = {}, names = {}, skip_macros = s.skip_macros,
      reads = s.reads }
    analyse(b, body)
    branches[#branches + 1] = b
  end
  for _, b in ipairs(n.branches) do branch(b, b.body) end
  branch(nil, n.otherwise or {})
  local counts, order = {}, {}
  for _, b in ipairs(branches) do
    for _, name in ipairs(b.names) do
      if not counts[name] then order[#order + 1] = name end
      counts[name] = (counts[name] or 0) + 1
    end
    for name, how in pairs(b.first) do
      if how == "load" and not s.first[name] then s.first[name] = "load" end
    end
  end
  for _, name in ipairs(order) do
    -- assigned on some ways only: on the others it keeps the value from outside
    if counts[name] < #branches and not s.first[name] then s.first[name] = "load" end
    store(s, name)
  end
end

analyse = function(state, body)
  for _, node in ipairs(body) do
    local event = events[node.tag]
    if event then event(state, node) end
  end
end

local stores = { set = true, setblock = true, macro = true, loader = true }

-- Whether statements assign anything in their own scope. Most do not, and need no second look.
local function assigns(body)
  for _, node in ipairs(body) do
    local tag = node.tag
    if stores[tag] then return true end
    if tag == "if" then
      for _, branch in ipairs(node.branches) do
        if assigns(branch.body) then return true end
      end
      if node.otherwise and assigns(node.otherwise) then return true end
    elseif tag == "group" and assigns(node.body) then
      return true
    end
  end
  return false
end

--- The names that statements assign in their own scope, in order, and for each whether it is first read ("load")
--- or first assigned ("store").
---@param body table list of statements
---@param reads string[] of the syntax tree
---@param skip_macros boolean|nil macros are not names of this scope
function M.stores(body, reads, skip_macros)
  local state = { first = {}, stored = {}, names = {}, skip_macros = skip_macros, reads = reads }
  if assigns(body) then analyse(state, body) end
  return state.names, state.first
end

return M
