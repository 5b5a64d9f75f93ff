--- What one of several processes reads of a project: its part of the properties files, the models, seeds, analyses and
-- singular tests that those describe and a part of the others, and the tests on models and seeds. Each step is that of
-- an undivided load (lua/project/init.lua), over fewer items. What becomes of a file is written to a file of the
-- process at once, as the parse cache has it (lua/project/cache.lua), and forgotten; at the end follows what the
-- parent (lua/project/gathered.lua) has to know of everything.
--
-- What a part cannot tell alone (a model that two files describe, two nodes with one name, a template that asks for the
-- whole graph) ends the process, and the parent loads the project undivided.

local asked = require "project.asked"
local cache = require "dex.cache"
local checks = require "project.checks"
local collecting = require "project.collecting"
local config = require "project.config"
local data_tests = require "project.data_tests"
local docs = require "project.docs"
local err = require "err"
local json = require "dex.json"
local members = require "project.members"
local models = require "project.models"
local patches = require "project.patches"
local primary_keys = require "project.primary_keys"
local problems = require "project.problems"
local properties = require "project.properties"
local secrets = require "run.secrets"
local stored = require "project.stored"
local value = require "jinja.value"

---@class dex.Share
---@field project table the process's own copy
---@field plan dex.SharePlan
---@field common userdata what the processes share (engine/script/lib_copies.c)
---@field seen table<string, table> what is still known of nodes that are written: their group
local M = {}
M.__index = M

local dict, list, none, opt = value.dict, value.list, value.none, value.opt

--- What is divided.
---@class dex.SharePlan
---@field files {package: dex.Package, file: dex.File}[] properties files
---@field found table of project.models
---@field count integer processes

local BATCH = 32 -- properties files that a process takes at a time

--- The kinds of candidates that are divided; the others are the parent's.
M.kinds = { model = true, seed = true, analysis = true, test = true }

--- The sections of properties files whose entries are divided, those of the parent left out.
M.sections = { models = true, seeds = true, analyses = true, data_tests = true }

-- The entries of these sections have tests.
local tested = { "models", "seeds" }

-- Places in the order of an undivided load: the step, and within it three numbers.
local STEPS = { properties = 1, patches = 2, nodes = 3, tests = 4 }

--- A place, for sorting.
---@param step "properties"|"patches"|"nodes"|"tests"
---@param a integer
---@param b integer
---@param c integer
---@return integer
function M.place(step, a, b, c) return STEPS[step] << 58 | a << 54 | b << 27 | c end

local function unfit(why) error(err.new { code = 901, message = why }, 0) end

-- Reading properties files --------------------------------------------------------------------------------

-- Whether the parent needs a file's entries as well.
local function is_mixed(entries)
  for _, section in ipairs(properties.sections) do
    if not M.sections[section] and #entries[section] > 0 then return true end
  end
  for _, entry in ipairs(entries.models) do
    if opt(entry.data.semantic_model) or opt(entry.data.metrics) then return true end
  end
  return false
end

-- The parent reads such a file once more, and says what is wrong with it.
local function forget_problems(of, errors, warnings)
  for i = #of.errors, errors + 1, -1 do of.errors[i] = nil end
  for i = #of.warnings, warnings + 1, -1 do of.warnings[i] = nil end
end

function M:read_file(i)
  local project, item = self.project, self.plan.files[i]
  local of = project.problems
  local errors, warnings = #of.errors, #of.warnings
  of:at(M.place("properties", 0, i, 0))
  properties.begin(project)
  properties.read_one(project, item.package, item.file)
  if is_mixed(project.entries) then
    self.mixed[#self.mixed + 1] = i
    forget_problems(of, errors, warnings)
  end
  for section in pairs(M.sections) do
    local entries = self.entries[section]
    for j, entry in ipairs(project.entries[section]) do
      entries[#entries + 1] = entry
      self.places[entry] = { i, j }
    end
  end
end

function M:read_files()
  local count = #self.plan.files
  while true do
    local from = self.common:next(1) * BATCH
    if from >= count then break end
    for i = from + 1, math.min(from + BATCH, count) do self:read_file(i) end
  end
  self.project.entries = self.entries
end

-- Bringing them together with files -----------------------------------------------------------------------

--- Makes a candidate this process's own.
---@param candidate dex.Candidate
function M:claim(candidate)
  if not self.common:claim(self.numbers[candidate]) then unfit("a file is described in several places") end
end

--- Notes an entry that no file belongs to, for the parent.
---@param entry dex.Entry
---@param kind string
---@param name string
function M:missed(entry, kind, name)
  self.missing[#self.missing + 1] = dict("place", self.project.problems.place, "kind", kind, "name", name, "section",
    entry.section, "package", entry.package.name, "display", entry.file.display, "line", value.or_none(entry.line))
end

function M:attach()
  local project = self.project
  for s, section in ipairs(patches.sections) do
    for _, entry in ipairs(M.sections[section] and self.entries[section] or {}) do
      local at = self.places[entry]
      project.problems:at(M.place("patches", s, at[1], at[2]))
      patches.attach_one(project, self.plan.found.index, entry)
    end
  end
end

-- Making nodes --------------------------------------------------------------------------------------------

-- How many of the free candidates each process takes, so that all have about as many.
local function quotas(counts, free)
  local total = free
  for _, n in ipairs(counts) do total = total + n end
  local each, found = (total + #counts - 1) // #counts, {}
  for i, n in ipairs(counts) do
    found[i] = math.min(free, math.max(0, each - n))
    free = free - found[i]
  end
  found[#counts] = found[#counts] + free
  return found
end

-- The numbers of this process's candidates, in order.
function M:own_candidates()
  local common, counts, own, free = self.common, {}, {}, {}
  for i = 1, self.plan.count do counts[i] = 0 end
  for number, candidate in ipairs(self.plan.found.list) do
    if M.kinds[candidate.kind] then
      local owner = common:owner(number)
      if owner == 0 then free[#free + 1] = number else counts[owner] = counts[owner] + 1 end
      if owner == self.number then own[#own + 1] = number end
    end
  end
  local quota, from = quotas(counts, #free), 0
  for i = 1, self.number - 1 do from = from + quota[i] end
  table.move(free, from + 1, from + quota[self.number], #own + 1, own)
  table.sort(own)
  return own
end

local columns = { "id", "resource_type", "place", "number", "at", "name", "package_name", "fqn", "tags", "version",
  "latest_version", "original_file_path", "patch_path", "group", "access", "relation_name", "spine", "attached_node",
  "checked", "described", "disabled", "file", "refs", "sources", "functions", "metrics" }

-- Names where there is no more to the refs of a node.
local function refs_of(node)
  local names = list()
  for i, ref in ipairs(node.refs or {}) do
    if ref.package ~= none or ref.version ~= none then return node.refs end
    names[i] = ref.name
  end
  return names
end

-- Renders the descriptions of a node; whether that is done now. A test may yet be left out, whose description stays.
function M:describe(node, info)
  if node.description == "" and #node.columns == 0 then return true end
  if node.resource_type == "test" and docs.is_rendered(node.description) then return false end
  local project = self.project
  local own = project.problems
  project.problems = self.late
  self.late:try({ node = node.unique_id }, docs.apply, project, node, { file = info.patch_file or info.display,
    line = info.patch_line or info.line })
  project.problems = own
  return true
end

local exact = { exact = true }

function M:write(text)
  for _, secret in ipairs(self.secrets) do
    if text:find(secret, 1, true) then self.has_secret = true end
  end
  return self.writer:add(text)
end

--- The holes in a node's text where the parent puts what is known last: tables of the node.
---@param node table
---@return table[]
function M.holes(node)
  if node.resource_type == "seed" then return {} end
  return { node.depends_on.nodes, node.resource_type == "model" and node.primary_key or nil }
end

-- A list that is not empty, else false: most are.
local function some(items) return items and #items > 0 and items or false end

-- Notes what the parent has to know of a node: false where there is nothing.
function M:note(node, info, place, number, disabled, described, at)
  local c, n, kind = self.columns, #self.keys + 1, node.resource_type
  local is_model = kind == "model"
  c.id[n], c.resource_type[n], c.place[n], c.number[n], c.at[n] = node.unique_id, kind, place, number, at
  c.name[n], c.package_name[n], c.fqn[n], c.tags[n] = node.name, node.package_name, node.fqn, some(node.tags)
  c.original_file_path[n], c.relation_name[n] = node.original_file_path, opt(node.relation_name) or false
  c.patch_path[n], c.group[n] = opt(node.patch_path) or false, opt(node.group) or false
  c.version[n], c.latest_version[n] = opt(node.version) or false, opt(node.latest_version) or false
  c.access[n], c.attached_node[n] = node.access or false, opt(node.attached_node) or false
  c.spine[n] = is_model and (opt(node.time_spine) ~= nil or node.name == members.LEGACY_SPINE)
  c.checked[n], c.described[n], c.disabled[n] = checks.concerns(node), described, disabled
  c.file[n] = is_model and info.file or false
  c.refs[n], c.sources[n] = some(refs_of(node)), some(node.sources)
  c.functions[n], c.metrics[n] = some(node.functions), some(node.metrics)
  self.keys[n] = is_model and primary_keys.declared(node) or false
end

-- Writes a node and what stands beside it.
function M:pack(node, info, place, number, disabled)
  local id = node.unique_id
  if not disabled and self.seen[id] and not self.seen[id].disabled then unfit("two nodes have the same name") end
  self.seen[id] = { group = node.group, disabled = disabled or nil }
  local described = disabled or self:describe(node, info)
  primary_keys.note(self.by_model, node, not disabled)
  local first, second, third = json.encode(node, { exact = true, holes = M.holes(node) })
  local at = self:write(first)
  if second then self:write(second) end
  if third then self:write(third) end
  self.writer:add(json.encode(stored.info_of(info, node), exact))
  self:note(node, info, place, number, disabled, described, at)
end

-- Takes what has come into the project since the last call.
function M:take(place, number)
  local project = self.project
  if #project.nodes > 0 then
    for id, node in pairs(project.nodes) do self:pack(node, project.info[id], place, number, false) end
    project.nodes, project.info = dict(), {}
  end
  if #project.disabled > 0 then
    for _, nodes in pairs(project.disabled) do
      for _, node in ipairs(nodes) do self:pack(node, project.disabled_info[node], place, number, true) end
    end
    project.disabled, project.disabled_info = dict(), {}
  end
end

function M:load_nodes()
  for _, number in ipairs(self:own_candidates()) do
    local place = M.place("nodes", 0, number, 0)
    self.project.problems:at(place)
    models.load_one(self.project, self.plan.found.list[number])
    self:take(place, number)
  end
end

function M:load_tests()
  for s, section in ipairs(tested) do
    local entries = self.entries[section]
    for i, entry in ipairs(entries) do
      local at = self.places[entry]
      local place = M.place("tests", s, at[1], at[2])
      self.project.problems:at(place)
      data_tests.load_entry(self.project, entry)
      self:take(place, 0)
      entries[i], self.places[entry] = false, nil -- it is needed no more
    end
  end
end

-- The end -------------------------------------------------------------------------------------------------

local function problems_of(from, kind)
  local found = list()
  for i, problem in ipairs(from[kind]) do
    local fields = dict()
    local names = {}
    for name in pairs(problem) do names[#names + 1] = name end
    table.sort(names)
    for _, name in ipairs(names) do fields[name] = value.from_lua(problem[name]) end
    found[i] = dict("place", from.places and from.places[problem] or 0, "fields", fields)
  end
  return found
end

-- The keys of models that no constraint declares are what their tests tell.
function M:finish_keys()
  local kinds, ids = self.columns.resource_type, self.columns.id
  for i, key in ipairs(self.keys) do
    if not key then self.keys[i] = kinds[i] == "model" and primary_keys.tested(self.by_model, ids[i]) or list() end
  end
end

local function names_of(set)
  local found = dict()
  for name in pairs(set) do found[name] = true end
  return found
end

function M:summary()
  local of = asked.finish()
  if of.graph then unfit("a template asks for the graph") end
  self:finish_keys()
  local found = dict("columns", dict(), "keys", self.keys, "errors",
    problems_of(self.project.problems, "errors"), "warnings", problems_of(self.project.problems, "warnings"),
    "late", problems_of(self.late, "errors"), "mixed", self.mixed,
    "missing", self.missing, "used", config.used(self.project), "has_secret", self.has_secret, "asked", dict("env",
    names_of(of.env), "flags", names_of(of.flags), "args", of.args, "custom_env", of.custom_env, "hour", of.hour))
  for _, name in ipairs(columns) do found.columns[name] = self.columns[name] end
  return found
end

--- The config of a node that says nothing itself is that of its folder: nothing changes it before it is written.
---@param levels dex.Level[] of the folder
---@param kind string
---@param make fun(): table, table, table
---@return table config
---@return table hooks
---@return table unrendered
function M:config_of(levels, kind, make)
  local by_kind = self.configs[levels] or {}
  self.configs[levels] = by_kind
  local known = by_kind[kind]
  if known then return known[1], known[2], known[3] end
  local config_made, hooks, unrendered = make()
  if next(hooks) == nil then by_kind[kind] = { config_made, hooks, unrendered } end
  return config_made, hooks, unrendered
end

local function new(project, plan, common, writer)
  local self = setmetatable({ project = project, plan = plan, common = common, number = common:number(),
    writer = writer, entries = {}, places = {}, numbers = {}, columns = {}, keys = list(), seen = {}, by_model = {},
    configs = {}, mixed = list(), missing = list(), late = problems.new(), secrets = secrets.known(project),
    has_secret = false }, M)
  for i, candidate in ipairs(plan.found.list) do self.numbers[candidate] = i end
  for _, section in ipairs(properties.sections) do self.entries[section] = {} end
  for _, name in ipairs(columns) do self.columns[name] = list() end
  project.share, project.problems, project.found = self, problems.new(), plan.found.index
  return self
end

--- Reads one part, in a process of its own: the project is good for nothing else after that. Writes what it finds, or
--- why it cannot be found in parts.
---@param project table
---@param plan dex.SharePlan
---@param common userdata
---@param writers userdata[] of the files, by the processes' numbers
function M.work(project, plan, common, writers)
  local writer = writers[common:number()]
  collecting.wake(200) -- what is written is garbage
  cache.watch()
  asked.begin()
  local self = new(project, plan, common, writer)
  local ok, result = pcall(function()
    self:read_files()
    self:attach()
    common:meet()
    self:load_nodes()
    self:load_tests()
    return self:summary()
  end)
  writer:add(cache.watched())
  writer:add(json.encode(ok and result or dict("unfit", tostring(err.wrap(result).message)), exact))
  writer:finish()
  if not ok then error(result, 0) end -- the others wait for it no longer
end

return M
