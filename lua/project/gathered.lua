--- A project that several processes have read (lua/project/share.lua): its nodes stand in their files, as the texts
-- that the parse cache will have, and only what all nodes have to be known for is held here, in columns. As long as
-- nothing asks for a node itself, its text is copied from file to file.

local asked = require "project.asked"
local cache = require "dex.cache"
local config = require "project.config"
local copies = require "dex.copies"
local data_tests = require "project.data_tests"
local err = require "err"
local fs = require "dex.fs"
local json = require "dex.json"
local models = require "project.models"
local patches = require "project.patches"
local properties = require "project.properties"
local share = require "project.share"
local stored = require "project.stored"
local value = require "jinja.value"

---@class dex.Gathered
---@field files userdata[] of the processes
---@field columns table<string, table> row -> value; absent ones are false
---@field rows table<string, integer> unique_id -> row, of the nodes that are in the project
---@field in_json table<string, string> texts as JSON has them, of those that come again and again
---@field edges table<integer, table> row -> depends_on.nodes, which is empty until refs are resolved
local M = {}
M.__index = M

local concat = table.concat
local list, opt, ORDER = value.list, value.opt, value.ORDER

local MOST = 64 -- as engine/script/lib_copies.c has it
local LEAST = 400 -- files from which on more than one process is worth while

-- How many processes read the project; 1 when it is not divided.
local function process_count(wanted, files)
  if wanted ~= "some" then return wanted or 1 end
  if files < LEAST then return 1 end
  return math.min(copies.processors(), files * 2 // LEAST)
end

-- Rows ------------------------------------------------------------------------------------------------------

-- The processes' columns, one behind the other.
local function join(summaries)
  local columns, keys, firsts, count = {}, {}, {}, 0
  for i, summary in ipairs(summaries) do
    firsts[i] = count
    for name, column in pairs(summary.columns) do
      if i == 1 then columns[name] = setmetatable(column, nil) end
      if i > 1 then table.move(column, 1, #column, count + 1, columns[name]) end
    end
    table.move(summary.keys, 1, #summary.keys, count + 1, keys)
    count = #columns.id
  end
  return columns, keys, firsts
end

local function has_twins(columns)
  local seen = {}
  for row, id in ipairs(columns.id) do
    if not columns.disabled[row] then
      if seen[id] then return true end
      seen[id] = true
    end
  end
  return false
end

function M:file_of(row)
  local firsts = self.firsts
  for i = #firsts, 1, -1 do
    if row > firsts[i] then return self.files[i] end
  end
end

local hole_counts = { seed = 0, model = 2 }

local function in_json(texts, known)
  if #texts == 0 then return "[]" end
  local found = {}
  for i, text in ipairs(texts) do
    local as_json = known[text]
    if not as_json then
      as_json = json.encode(text)
      known[text] = as_json
    end
    found[i] = as_json
  end
  return "[" .. concat(found, ", ") .. "]"
end

-- The texts for the holes of a node (share.holes), in JSON.
function M:fillings(row)
  local n = hole_counts[self.columns.resource_type[row]] or 1
  return n, n > 0 and in_json(self.edges[row], self.in_json), n > 1 and in_json(self.keys[row], self.in_json)
end

-- The node of a row.
function M:node(row)
  local file, at = self:file_of(row), self.columns.at[row]
  local n, nodes, key = self:fillings(row)
  local text = file:read(at)
  if n > 0 then text = text .. nodes .. file:read(at + 1) end
  if n > 1 then text = text .. key .. file:read(at + 2) end
  local node = json.decode(text)
  if n > 0 then node.depends_on.nodes = self.edges[row] end
  return node
end

function M:info(project, row, node)
  local n = hole_counts[self.columns.resource_type[row]] or 1
  local given = json.decode(self:file_of(row):read(self.columns.at[row] + n + 1))
  return stored.info_from(project, given, node)
end

local absent = { source_name = true } -- which members of other groups have
local lists = { tags = true, refs = true, sources = true, functions = true, metrics = true }
local nothing = list() -- in the place of every empty one of these

--- See lua/project/members.lua.
---@param project table
---@return fun(id: string): table
function M:reader(project)
  local columns, rows, edges, nodes = self.columns, self.rows, self.edges, project.nodes
  local current, at
  local depends_on = {}
  local row = setmetatable({}, { __index = function(_, field)
    local column = columns[field]
    if column then
      local v = column[at]
      if v or field == "checked" then return v end
      return lists[field] and nothing or nil
    elseif field == "depends_on" then
      depends_on.nodes = edges[at]
      return depends_on
    elseif field == "unique_id" then
      return current
    end
    if not absent[field] then return nodes[current][field] end
  end })
  return function(id)
    at = rows[id]
    if at and rawget(nodes, id) == nil then
      current = id
      return row
    end
    return require("project.members").get(project, id)
  end
end

--- The ids of the models that are time spines.
---@param project table
---@return string[]
function M:spines(project)
  local found = {}
  for _, id in ipairs(value.keys(project.nodes)) do
    local row = self.rows[id]
    if row and self.columns.spine[row] then found[#found + 1] = id end
  end
  return found
end

--- Whether the primary key of a model is known.
---@param id string
---@return boolean
function M:has_key(id) return self.rows[id] ~= nil and not self.stale[id] end

--- What errors there were in the description of a node.
---@param id string
---@return dex.Error[]
function M:late_errors(id) return self.late[id] or {} end

--- Lets go of a node that is about to be removed from the project.
---@param id string
function M:forget(id)
  local row = self.rows[id]
  local model = row and self.columns.attached_node[row]
  if model then self.stale[model] = true end
  self.rows[id] = nil
end

--- Reads all nodes: the project is as if it had been loaded undivided.
---@param project table
function M:complete(project)
  stored.complete(project.nodes)
  for id in pairs(self.rows) do local _ = project.info[id] end
  setmetatable(project.info, nil)
  project.stored = nil
end

-- Copying to another file -------------------------------------------------------------------------------------

--- Adds a node's text to a file, if nobody has read the node.
---@param project table
---@param id string
---@param writer userdata
---@param head string what comes before it
---@return integer|nil number of the chunk
function M:copy(project, id, writer, head)
  local row = self.rows[id]
  if not row or rawget(project.nodes, id) ~= nil then return nil end
  local file, at = self:file_of(row), self.columns.at[row]
  local n, nodes, key = self:fillings(row)
  if n == 0 then return writer:add_parts(head, file, at) end
  if n == 1 then return writer:add_parts(head, file, at, nodes, file, at + 1) end
  return writer:add_parts(head, file, at, nodes, file, at + 1, key, file, at + 2)
end

--- The same for what stands beside it.
---@return integer|nil
function M:copy_info(project, id, writer)
  local row = self.rows[id]
  if not row or rawget(project.nodes, id) ~= nil then return nil end
  local n = hole_counts[self.columns.resource_type[row]] or 1
  return writer:add_parts(self:file_of(row), self.columns.at[row] + n + 1)
end

--- Raises when a secret is in what the processes have written.
function M:check_secrets()
  if self.has_secret then err.raise { code = 901, message = "a secret is in what would be kept" } end
end

-- Filling the project -----------------------------------------------------------------------------------------

local function problem_of(item)
  local fields = {}
  for name, v in pairs(item.fields) do fields[name] = v end
  return err.new(fields)
end

local adders = { errors = "error", warnings = "warn" }
local before_tests = share.place("tests", 0, 0, 0)

-- The processes' errors or warnings up to the tests, and the project's so far, in the order of an undivided load.
local function merge_problems(project, summaries, kind)
  local of, all, places = project.problems, {}, {}
  local function add(problem, place)
    all[#all + 1] = problem
    places[problem] = { place, #all }
  end
  for _, problem in ipairs(of[kind]) do add(problem, of.places and of.places[problem] or 0) end
  for _, summary in ipairs(summaries) do
    for _, item in ipairs(summary[kind]) do
      if item.place < before_tests then add(problem_of(item), item.place) end
    end
  end
  table.sort(all, function(a, b)
    local x, y = places[a], places[b]
    if x[1] ~= y[1] then return x[1] < y[1] end
    return x[2] < y[2]
  end)
  of[kind] = {}
  if kind == "warnings" then of.seen = {} end
  for _, problem in ipairs(all) do of[adders[kind]](of, problem) end
end

-- What the processes found wrong with tests, behind all else.
local function add_test_problems(project, summaries, kind)
  local found = {}
  for _, summary in ipairs(summaries) do
    for _, item in ipairs(summary[kind]) do
      if item.place >= before_tests then found[#found + 1] = { item.place, #found, problem_of(item) } end
    end
  end
  table.sort(found, function(a, b)
    if a[1] ~= b[1] then return a[1] < b[1] end
    return a[2] < b[2]
  end)
  for _, item in ipairs(found) do project.problems[adders[kind]](project.problems, item[3]) end
end

-- Reads the files whose entries are needed here as well, and attaches those.
local function read_mixed(project, plan, summaries)
  local mixed = {}
  for _, summary in ipairs(summaries) do table.move(summary.mixed, 1, #summary.mixed, #mixed + 1, mixed) end
  table.sort(mixed)
  properties.begin(project)
  local places = {}
  for _, i in ipairs(mixed) do
    local counts = {}
    for section, entries in pairs(project.entries) do counts[section] = #entries end
    project.problems:at(share.place("properties", 0, i, 0))
    properties.read_one(project, plan.files[i].package, plan.files[i].file)
    for section, entries in pairs(project.entries) do
      for at = counts[section] + 1, #entries do places[entries[at]] = { i, at - counts[section] } end
    end
  end
  models.add_yaml_snapshots(project, plan.found)
  project.found = plan.found.index
  for s, section in ipairs(patches.sections) do
    for _, entry in ipairs(share.sections[section] and {} or project.entries[section]) do
      project.problems:at(share.place("patches", s, places[entry][1], places[entry][2]))
      patches.attach_one(project, plan.found.index, entry)
    end
  end
end

local function report_missing(project, plan, summaries)
  for _, summary in ipairs(summaries) do
    for _, missing in ipairs(summary.missing) do
      project.problems:at(missing.place)
      patches.not_found(project, plan.found.index, { section = missing.section, file = { display = missing.display },
        line = opt(missing.line), package = project.packages[missing.package] }, missing.kind, missing.name)
    end
  end
end

function M:add_row(project, row)
  local id = self.columns.id[row]
  if self.columns.disabled[row] then
    local node = self:node(row)
    models.place(project, node, self:info(project, row, node))
    return
  end
  self.rows[id] = row
  local order = rawget(project.nodes, ORDER)
  order[#order + 1] = id
end

-- The nodes of files in the order of these: of the processes, and those that are loaded here. May wait.
function M:add_nodes(project, plan)
  local by_number = {}
  for row, number in ipairs(self.columns.number) do
    if number > 0 then
      by_number[number] = by_number[number] or {}
      table.insert(by_number[number], row)
    end
  end
  for number, candidate in ipairs(plan.found.list) do
    if share.kinds[candidate.kind] then
      for _, row in ipairs(by_number[number] or {}) do self:add_row(project, row) end
    else
      project.problems:at(share.place("nodes", 0, number, 0))
      models.load_one(project, candidate)
    end
  end
end

--- Adds the tests, and makes those on snapshots. May wait.
---@param project table
function M:add_tests(project)
  local found, places, numbers = {}, self.columns.place, self.columns.number
  for row, number in ipairs(numbers) do
    if number == 0 then found[#found + 1] = row end
  end
  table.sort(found, function(a, b)
    if places[a] ~= places[b] then return places[a] < places[b] end
    return a < b
  end)
  for _, row in ipairs(found) do self:add_row(project, row) end
  add_test_problems(project, self.summaries, "errors")
  add_test_problems(project, self.summaries, "warnings")
  for _, entry in ipairs(project.entries.snapshots) do data_tests.load_entry(project, entry) end
  self.summaries, self.columns.place, self.columns.number = nil, nil, nil
end

local function prepare(self, project)
  project.stored = self
  local meta = stored.group_meta(self.rows, function(_, row) return self:node(row) end)
  project.nodes = setmetatable({ [ORDER] = {} }, meta)
  project.info = setmetatable({}, { __index = function(infos, id)
    local row = self.rows[id]
    if not row then return nil end
    local info = self:info(project, row, project.nodes[id])
    rawset(infos, id, info)
    return info
  end })
end

local function note_rest(self, project, summaries)
  for i, summary in ipairs(summaries) do
    asked.add(summary.asked)
    config.note_used(project, summary.used)
    cache.watch_more(self.files[i]:read(self.files[i]:count() - 2))
    self.has_secret = self.has_secret or summary.has_secret
    for _, item in ipairs(summary.late) do
      local problem = problem_of(item)
      local of = self.late[problem.node] or {}
      self.late[problem.node] = of
      of[#of + 1] = problem
    end
  end
end

local function new(files, columns, keys, firsts)
  local self = setmetatable({ files = files, columns = columns, keys = keys, firsts = firsts, rows = {},
    edges = {}, in_json = {}, late = {}, stale = {}, has_secret = false }, M)
  for row, kind in ipairs(columns.resource_type) do
    if kind ~= "seed" then self.edges[row] = list() end
  end
  return self
end

-- Starting the processes --------------------------------------------------------------------------------------

-- The summary of each process, or why there is none.
local function collect(writers, statuses)
  local files, summaries, why = {}, {}, nil
  for i, writer in ipairs(writers) do
    local file = writer:file()
    local summary = file and json.decode(file:read(file:count() - 1))
    if summary and summary.unfit then return nil, nil, summary.unfit end
    if statuses[i] ~= 0 or not summary then
      why = why or ("process %d of %d ended with status %d"):format(i, #writers, statuses[i])
    end
    files[i], summaries[i] = file, summary
  end
  if why then return nil, nil, why end
  return files, summaries
end

local function run(project, plan)
  local writers = {}
  pcall(fs.mkdirs, project.target_path)
  for i = 1, plan.count do writers[i] = cache.unnamed(project.target_path) end
  collectgarbage() -- what nobody holds any more is not to be finished in every process
  local statuses = copies.run(plan.count, function(common) share.work(project, plan, common, writers) end,
    #plan.found.list)
  return collect(writers, statuses)
end

--- Reads the properties files, and makes the nodes of all files, in several processes. May wait. What they found wrong
--- is in project.problems, as an undivided load has it.
---@param project table with its macros and docs blocks
---@param wanted integer|"some"|nil how many processes; some: as many as are worth while; nil: one
---@return dex.Gathered|nil nil when it has to be loaded undivided: it is small, or could not be divided
---@return string|nil in how many processes it was read, or why in one
function M.load(project, wanted)
  if wanted ~= "some" and (wanted or 1) > MOST then
    err.raise { code = 101, message = ("a project is read in at most %d processes, not in %d"):format(MOST, wanted) }
  end
  local plan = { files = properties.files(project), found = models.discover(project) }
  plan.count = process_count(wanted, #plan.files + #plan.found.list)
  if plan.count < 2 then return nil end
  local ok, files, summaries, why = pcall(run, project, plan)
  if not ok and (not err.is(files) or files.code ~= 902 and files.code ~= 110) then error(files, 0) end
  if not ok then why = tostring(files.message) end
  local columns, keys, firsts
  if not why then columns, keys, firsts = join(summaries) end
  if columns and has_twins(columns) then why = "two nodes have the same name" end
  if why then return nil, "the project is read in one process: " .. why end
  local self = new(files, columns, keys, firsts)
  prepare(self, project)
  note_rest(self, project, summaries)
  read_mixed(project, plan, summaries)
  report_missing(project, plan, summaries)
  self:add_nodes(project, plan)
  merge_problems(project, summaries, "errors")
  merge_problems(project, summaries, "warnings")
  project.problems.place, project.problems.places = nil, nil
  self.summaries = summaries
  return self, ("the project was read in %d processes"):format(plan.count)
end

return M
