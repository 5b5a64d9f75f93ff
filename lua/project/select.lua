--- --select, --exclude and --selector: from the trees of criteria.lua to a list of nodes, as dbt understands them.

local criteria = require "project.criteria"
local err = require "err"
local members = require "project.members"
local methods = require "project.select_methods"

local M = {}

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

local function is_test(id)
  local kind = members.kind(id)
  return kind == "test" or kind == "unit_test"
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
  for _, id in ipairs(members.ids(project, "sources")) do set[id] = true end
  return set
end

-- The tests on chosen nodes: those that come along, and those that wait for their other parents.
local function expand(project, chosen, mode)
  local direct, indirect = union({}, chosen), {}
  if mode == "empty" then return direct, indirect end
  local buildable = mode == "buildable" and with_parents(project, chosen)
  for id in pairs(chosen) do
    for _, child in ipairs(project.children[id] or {}) do
      if is_test(child) then
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

-- Tests that waited and whose parents are all chosen now.
local function take_waiting(project, direct, indirect, mode)
  if mode ~= "cautious" and mode ~= "buildable" then return direct end
  local set = mode == "buildable" and union(union({}, direct), walk(direct, project.parents, math.huge)) or direct
  local chosen = union({}, direct)
  for id in pairs(indirect) do
    if not direct[id] and members.kind(id) == "test" and all_in(project.parents[id], set) then chosen[id] = true end
  end
  return chosen
end

-- Evaluating -------------------------------------------------------------------------------------

local evaluate

-- Methods that may mean operations: what runs a script has to name it. Run hooks are operations, too, which nobody
-- selects.
local of_operations = { operation = true, resource_type = true, tag = true, path = true, file = true, config = true,
  result = true }

local function is_in_question(job, id, node, method)
  if node.resource_type ~= "operation" then return true end
  if not job.project.info[id].operation then return false end
  return of_operations[method] or job.with_operations and method == "fqn"
end

-- Methods that look at all of a member.
local whole = { state = true, result = true, source_status = true }

-- What a test of the methods chooses among all members.
local function search(job, criterion)
  local test = methods.test(job, criterion.method, criterion.value)
  local method = criterion.method:match("^[^.]*")
  local chosen = {}
  local read = whole[method] and function(id) return member(job.project, id) end or members.reader(job.project)
  for _, id in ipairs(job.project.order) do
    local node = read(id)
    if is_in_question(job, id, node, method) and test(node) then chosen[id] = true end
  end
  return chosen
end

-- The nodes of every selector of selectors.yml whose name matches.
local function by_selector(job, criterion)
  local chosen = {}
  for _, selector in ipairs(require("project.selectors").matching(job.project, tostring(criterion.value))) do
    if job.within[selector] then
      err.raise { code = 307, message = ("selector '%s' uses itself"):format(selector.name), file = selector.file,
        line = selector.line }
    end
    job.within[selector] = true
    union(chosen, (evaluate(job, selector.spec)))
    job.within[selector] = nil
  end
  return chosen
end

local function by_criterion(job, criterion)
  local project = job.project
  local is_selector = criterion.method == "selector"
  local chosen = is_selector and by_selector(job, criterion) or search(job, criterion)
  local more = {}
  if criterion.at then
    local family = union(walk(chosen, project.children, math.huge), chosen)
    union(more, walk(family, project.parents, math.huge))
    union(more, family)
  end
  if criterion.parents then union(more, walk(chosen, project.parents, criterion.parents)) end
  if criterion.children then union(more, walk(chosen, project.children, criterion.children)) end
  union(chosen, more)
  -- a selector has taken its tests already, and may have excluded some
  if is_selector then return chosen, {} end
  return expand(project, chosen, criterion.mode or job.mode)
end

local combine = {
  union = function(a, b) return union(union({}, a), b) end, intersection = intersection, difference = difference,
}

local function nearest_name(project, word)
  if word:find("[:/*]") then return nil end
  local text = criteria.parse(word:match("^[^,]*")).value
  local names = {}
  local read = members.reader(project)
  for _, id in ipairs(project.order) do
    local node = read(id)
    if node.resource_type ~= "operation" then
      names[#names + 1] = node.name
    elseif node.name == text then
      return ("an operation is selected with operation:%s"):format(text)
    end
  end
  return err.did_you_mean(text, names)
end

-- The ids that a spec chooses, and those of tests that wait for their other parents.
evaluate = function(job, spec)
  if spec.kind == "criterion" then return by_criterion(job, spec) end
  local direct, indirect
  for _, part in ipairs(spec.parts) do
    local d, i = evaluate(job, part)
    i = union(union({}, i), d)
    direct = direct and combine[spec.kind](direct, d) or d
    indirect = indirect and combine[spec.kind](indirect, i) or i
  end
  direct = take_waiting(job.project, direct or {}, indirect or {}, spec.mode or "eager")
  if spec.raw and not next(direct) then
    job.warnings[#job.warnings + 1] = err.new { code = 310,
      message = ("the selection '%s' matches no enabled node"):format(spec.raw),
      hint = nearest_name(job.project, spec.raw) }
  end
  return direct, indirect or {}
end

-- Resource types ---------------------------------------------------------------------------------

local plural = { models = "model", seeds = "seed", snapshots = "snapshot", tests = "test", sources = "source",
  exposures = "exposure", analyses = "analysis", unit_tests = "unit_test", functions = "function",
  metrics = "metric", semantic_models = "semantic_model", saved_queries = "saved_query", operations = "operation" }
local type_names = { "model", "seed", "snapshot", "test", "unit_test", "source", "function", "exposure", "metric",
  "semantic_model", "saved_query", "analysis", "operation", "all", "default" }

local function type_of(word)
  local name = plural[word] or word
  for _, known in ipairs(type_names) do
    if known == name then return name end
  end
  err.raise { code = 307, message = ("'%s' is no resource type"):format(name),
    hint = err.did_you_mean(name, type_names) }
end

local function each_type(texts, fn)
  for _, text in ipairs(texts or {}) do
    for word in text:gmatch("[^%s,]+") do fn(type_of(word)) end
  end
end

-- The resource types to keep: the command's, of these what --resource-type names, less --exclude-resource-type.
local function wanted_types(opts)
  local wanted, asked = {}, nil
  local every = not opts.types
  for _, name in ipairs(opts.types or type_names) do wanted[name] = true end
  each_type(opts.resource_types, function(name)
    asked = asked or {}
    if name == "all" then
      union(asked, wanted)
      for _, more in ipairs(opts.more_types or {}) do asked[more] = true end
    elseif name == "default" then
      union(asked, wanted)
    else
      asked[name] = true
    end
  end)
  if asked then
    local allowed = union({}, wanted)
    for _, more in ipairs(opts.more_types or {}) do allowed[more] = true end
    wanted, every = intersection(asked, allowed), false
  end
  each_type(opts.exclude_resource_types, function(name)
    wanted[name], every = nil, false
  end)
  return not every and wanted or nil
end

-- What to evaluate: a named selector, the words, or the default selector of the project.
local function spec_of(project, opts, mode)
  local selectors = require "project.selectors"
  local words = opts.select and #opts.select > 0 or opts.exclude and #opts.exclude > 0
  if opts.selector then
    if words then
      err.raise { code = 101, message = "--selector and --select or --exclude exclude each other" }
    end
    return selectors.get(project, opts.selector).spec
  end
  local default = not words and not opts.no_default_selector and selectors.default(project)
  if default then return default.spec, default.name end
  return criteria.difference(opts.select, opts.exclude, mode)
end

--- How to select. `types` are what the command works on, `more_types` what it works on when asked to,
--- `resource_types` what the user asked for.
---@class dex.SelectOptions
---@field select? string[]
---@field exclude? string[]
---@field selector? string name of a selector of selectors.yml
---@field no_default_selector? boolean
---@field types? string[]
---@field more_types? string[]
---@field resource_types? string[]
---@field exclude_resource_types? string[]
---@field indirect_selection? string
---@field state? dex.State what `state:`, `result:` and `source_status:` compare with

--- Selects nodes.
---@param project table
---@param opts dex.SelectOptions
---@return string[] unique_ids in graph order
---@return dex.Error[] warnings: words that match nothing
---@return string|nil name of the default selector when it was used
function M.select(project, opts)
  local mode = opts.indirect_selection or "eager"
  if not criteria.modes[mode] then
    err.raise { code = 307,
      message = ("'%s' is no mode of indirect selection: it is eager, cautious, buildable or empty")
      :format(mode) }
  end
  local job = { project = project, mode = mode, warnings = {}, state = opts.state, within = {} }
  each_type(opts.resource_types, function(name) job.with_operations = job.with_operations or name == "operation" end)
  local spec, default = spec_of(project, opts, mode)
  local chosen = evaluate(job, spec)
  local types = wanted_types(opts)
  local list = {}
  for id in pairs(chosen) do
    if not types or types[members.kind(id)] then list[#list + 1] = id end
  end
  table.sort(list, function(a, b) return project.position[a] < project.position[b] end)
  return list, job.warnings, default
end

return M
