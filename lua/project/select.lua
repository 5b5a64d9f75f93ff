--- --select and --exclude: from words such as `+orders,tag:nightly` to a list of nodes, as dbt understands them.

local err = require "err"
local members = require "project.members"
local methods = require "project.select_methods"

local M = {}

--- One word of a selection.
---@class dex.Criterion
---@field raw string
---@field method string
---@field value string
---@field at boolean `@x`: with all that depends on it, and what that needs
---@field parents? integer depth; math.huge for all
---@field children? integer

local default_words = { "fqn:*", "source:*", "exposure:*" }
local modes = { eager = true, cautious = true, buildable = true, empty = true }

local function method_of(text)
  if text:find("/", 1, true) then return "path" end
  local lower = text:lower()
  if lower:sub(-4) == ".sql" or lower:sub(-3) == ".py" or lower:sub(-4) == ".csv" then return "file" end
  return "fqn"
end

--- Reads one word. Raises 307 when it is none.
---@param raw string
---@return dex.Criterion
function M.parse(raw)
  local rest = raw
  local at = rest:sub(1, 1) == "@"
  if at then rest = rest:sub(2) end
  local depth, after = rest:match("^(%d*)%+(.*)$")
  local parents
  if depth then
    parents = tonumber(depth) or math.huge
    rest = after
  end
  local before, child_depth = rest:match("^(.-)%+(%d*)$")
  local children
  if before then
    children = tonumber(child_depth) or math.huge
    rest = before
  end
  if at and children then
    err.raise { code = 307, message = ("'%s': `@` in front and `+` behind exclude each other"):format(raw) }
  end
  local method, text = rest:match("^([%w_.]+):(.*)$")
  text = text or rest
  if text == "" then err.raise { code = 307, message = ("'%s' names no node"):format(raw) } end
  return { raw = raw, method = method or method_of(text), value = text, at = at, parents = parents,
    children = children }
end

-- Sets of ids ------------------------------------------------------------------------------------

local function union(into, from)
  for id in pairs(from) do into[id] = true end
  return into
end

local function intersection(a, b)
  local both = {}
  for id in pairs(a) do both[id] = b[id] end
  return both
end

local function difference(a, b)
  local left = {}
  for id in pairs(a) do
    if not b[id] then left[id] = true end
  end
  return left
end

-- Everything within `depth` steps along `edges`.
local function walk(chosen, edges, depth)
  local found, layer = {}, chosen
  local steps = 0
  while next(layer) and steps < depth do
    local further = {}
    for id in pairs(layer) do
      for _, other in ipairs(edges[id] or {}) do
        if not found[other] then further[other] = true end
      end
    end
    union(found, further)
    layer = further
    steps = steps + 1
  end
  return found
end

-- Nodes and tests --------------------------------------------------------------------------------

local member = members.get

local function is_test(project, id)
  local node = project.nodes[id]
  return node ~= nil and node.resource_type == "test" or rawget(project.unit_tests, id) ~= nil
end

local function all_in(ids, set)
  for _, id in ipairs(ids) do
    if not set[id] then return false end
  end
  return true
end

-- Sources count as there in buildable mode.
local function with_parents(project, chosen)
  local set = union(union({}, chosen), walk(chosen, project.parents, math.huge))
  for id in pairs(project.sources) do set[id] = true end
  return set
end

-- The tests on chosen nodes: those that come along, and those that wait for their other parents.
local function expand(project, chosen, mode)
  local direct, indirect = union({}, chosen), {}
  if mode == "empty" then return direct, indirect end
  local buildable = mode == "buildable" and with_parents(project, chosen)
  for id in pairs(chosen) do
    for _, child in ipairs(project.children[id] or {}) do
      if is_test(project, child) then
        local parents = project.parents[child]
        if mode == "eager" or all_in(parents, chosen) or buildable and all_in(parents, buildable) then
          direct[child] = true
        else
          indirect[child] = true
        end
      end
    end
  end
  return direct, indirect
end

local function by_criterion(project, criterion, mode)
  local test = methods.test(project, criterion.method, criterion.value)
  local chosen = {}
  for _, id in ipairs(project.order) do
    local node = member(project, id)
    if node.resource_type ~= "operation" and test(node) then chosen[id] = true end
  end
  local more = {}
  if criterion.at then
    local family = union(walk(chosen, project.children, math.huge), chosen)
    union(more, walk(family, project.parents, math.huge))
    union(more, family)
  end
  if criterion.parents then union(more, walk(chosen, project.parents, criterion.parents)) end
  if criterion.children then union(more, walk(chosen, project.children, criterion.children)) end
  return expand(project, union(chosen, more), mode)
end

-- Tests that waited and whose parents are all chosen now.
local function take_waiting(project, direct, indirect, mode)
  if mode ~= "cautious" and mode ~= "buildable" then return direct end
  local set = mode == "buildable" and union(union({}, direct), walk(direct, project.parents, math.huge)) or direct
  local chosen = union({}, direct)
  for id in pairs(indirect) do
    if not direct[id] and is_test(project, id) and all_in(project.parents[id], set) then chosen[id] = true end
  end
  return chosen
end

-- Words joined by commas: all must match.
local function by_word(project, word, mode)
  local direct, indirect
  for part in (word .. ","):gmatch("(.-),") do
    local d, i = by_criterion(project, M.parse(part), mode)
    i = union(i, d)
    direct = direct and intersection(direct, d) or d
    indirect = indirect and intersection(indirect, i) or i
  end
  return take_waiting(project, direct, indirect, mode), indirect
end

local function nearest_name(project, word)
  local text = M.parse(word:match("^[^,]*")).value
  local names = {}
  for _, id in ipairs(project.order) do names[#names + 1] = member(project, id).name end
  return err.did_you_mean(text, names)
end

-- Words side by side: any may match.
local function by_words(project, words, mode, warnings)
  local direct, indirect = {}, {}
  for _, text in ipairs(words) do
    for word in text:gmatch("%S+") do
      local d, i = by_word(project, word, mode)
      if warnings and not next(d) then
        warnings[#warnings + 1] = err.new { code = 310,
          message = ("the selection '%s' matches no enabled node"):format(word),
          hint = not word:find("[:/*]") and nearest_name(project, word) or nil }
      end
      union(direct, d)
      union(indirect, i)
    end
  end
  return take_waiting(project, direct, indirect, mode)
end

local plural = { models = "model", seeds = "seed", snapshots = "snapshot", tests = "test", sources = "source",
  exposures = "exposure", analyses = "analysis", unit_tests = "unit_test", functions = "function",
  metrics = "metric", semantic_models = "semantic_model", saved_queries = "saved_query" }
local type_names = { "model", "seed", "snapshot", "test", "unit_test", "source", "function", "exposure", "metric",
  "semantic_model", "saved_query", "analysis", "all", "default" }

-- The resource types to keep: the command's, and of these what --resource-type names.
local function wanted_types(opts)
  if not opts.types and not opts.resource_types then return nil end
  local wanted = {}
  for _, name in ipairs(opts.types or type_names) do wanted[name] = true end
  if not opts.resource_types or #opts.resource_types == 0 then return wanted end
  local asked = {}
  for _, text in ipairs(opts.resource_types) do
    for name in text:gmatch("[^%s,]+") do
      name = plural[name] or name
      local known = false
      for _, other in ipairs(type_names) do known = known or other == name end
      if not known then
        err.raise { code = 307, message = ("'%s' is no resource type"):format(name),
          hint = err.did_you_mean(name, type_names) }
      end
      if name == "all" or name == "default" then return wanted end
      asked[name] = true
    end
  end
  return intersection(wanted, asked)
end

--- Selects nodes.
---@param project table
---@param opts {select?: string[], exclude?: string[], types?: string[], resource_types?: string[],
---  indirect_selection?: string} `types` are what the command works on, `resource_types` what the user asked for
---@return string[] unique_ids in graph order
---@return dex.Error[] warnings: words that match nothing
function M.select(project, opts)
  local mode = opts.indirect_selection or "eager"
  if not modes[mode] then
    err.raise { code = 307,
      message = ("'%s' is no mode of indirect selection: it is eager, cautious, buildable or empty")
      :format(mode) }
  end
  local warnings = {}
  local given = opts.select and #opts.select > 0
  local chosen = by_words(project, given and opts.select or default_words, mode, given and warnings or nil)
  if opts.exclude and #opts.exclude > 0 then
    chosen = difference(chosen, by_words(project, opts.exclude, mode, warnings))
  end
  local types = wanted_types(opts)
  local list = {}
  for id in pairs(chosen) do
    local node = member(project, id)
    if not types or types[node.resource_type] then list[#list + 1] = id end
  end
  table.sort(list, function(a, b) return project.position[a] < project.position[b] end)
  return list, warnings
end

return M
