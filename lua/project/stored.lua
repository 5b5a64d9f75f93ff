--- A loaded project whose members stand in the file of the parse cache (lua/project/cache.lua), each read when it is
-- first asked for. What has been read is the project's own from then on, and may be changed as any other.

local docs_module = require "project.docs"
local err = require "err"
local json = require "dex.json"
local manifest = require "project.manifest"
local members = require "project.members"
local models = require "project.models"
local secrets = require "run.secrets"
local value = require "jinja.value"

---@class dex.Stored
---@field file userdata
---@field head table dict: the table of contents
local M = {}
M.__index = M

local dict, list, none, ORDER = value.dict, value.list, value.none, value.ORDER

--- A project in an open file.
---@param file userdata
---@param head table
---@return dex.Stored
function M.new(file, head)
  return setmetatable({ file = file, head = head }, M)
end

-- Groups of members -------------------------------------------------------------------------------------

--- The metatable of a group that looks like a dict to those who ask for members, count them or go through them all.
--- A member is read by read(id, position) when it is first asked for.
---@param positions table<string, integer>
---@param read fun(id: string, position: integer): table
---@return table
function M.group_meta(positions, read)
  local meta = { __name = "dex.dict of members" }
  meta.__index = function(group, id)
    local at = positions[id]
    if not at then return nil end
    local member = read(id, at)
    rawset(group, id, member)
    return member
  end
  meta.__newindex = function(group, id, member)
    if member == nil then return end
    if not positions[id] then
      local order = rawget(group, ORDER)
      order[#order + 1] = id
    end
    rawset(group, id, member)
  end
  meta.__len = function(group) return #rawget(group, ORDER) end
  meta.__pairs = function(group)
    local order, i = rawget(group, ORDER), 0
    return function()
      i = i + 1
      local id = order[i]
      if id == nil then return nil end
      return id, group[id]
    end
  end
  return meta
end

--- Reads what is left of a group, which is a plain dict from then on: for those who look into dicts directly.
---@param group table of a project
---@return table the same
function M.complete(group)
  if value.is_dict(group) then return group end
  for _, id in ipairs(rawget(group, ORDER)) do local _ = group[id] end
  return setmetatable(group, value.Dict)
end

local function positions_of(ids)
  local found = {}
  for i, id in ipairs(ids) do found[id] = i end
  return found
end

local function member_reader(file, first)
  return function(id, at)
    local text = file:read(first + at - 1)
    return json.decode(text:sub(#json.encode(id) + (at > 1 and 5 or 3)))
  end
end

local function add_groups(self, project)
  self.positions = {}
  for _, name in ipairs(members.groups) do
    local of = self.head.groups[name]
    if #of.ids > 0 then
      local ids = setmetatable(of.ids, nil)
      self.positions[name] = positions_of(ids)
      project[name] = setmetatable({ [ORDER] = table.move(ids, 1, #ids, 1, {}) },
        M.group_meta(self.positions[name], member_reader(self.file, of.first)))
    else
      project[name] = dict()
    end
  end
end

-- What stands beside them -------------------------------------------------------------------------------

local plain_fields = { file = true, display = true, line = true, patch_file = true, patch_line = true }

local function hooks_of(by_phase)
  local found = dict()
  for phase, hooks in next, by_phase do
    found[phase] = list(table.move(hooks, 1, #hooks, 1, {}))
  end
  return found
end

--- What stands beside a member, as a dict. Raises for a field that is not known here.
---@param info table
---@param member table
---@return table dict
function M.info_of(info, member)
  local found = dict()
  for field, v in next, info do
    if plain_fields[field] then
      found[field] = v
    elseif field == "package" then
      found.package = v.name
    elseif field == "macro" then
      found.macro = v.unique_id
    elseif field == "source" then
      found.source = v == member.raw_code or v
    elseif field == "hooks" then
      found.hooks = hooks_of(v)
    elseif field == "overloads" then
      found.overloads = dict()
      for name, other in pairs(v) do found.overloads[name] = M.info_of(other, {}) end
    elseif field ~= "template" and field ~= "operation" then
      err.raise { code = 901, message = ("the parse cache knows no field '%s' beside a member"):format(field) }
    end
  end
  return found
end

local function hooks_from(by_phase)
  local found = {}
  for phase, hooks in pairs(by_phase) do found[phase] = setmetatable(hooks, nil) end
  return found
end

--- What stands beside a member, from what M.info_of has made of it.
---@param project table
---@param given table dict
---@param member table
---@return table
function M.info_from(project, given, member)
  local info = {}
  for field, v in pairs(given) do info[field] = v end
  info.package = given.package and project.packages[given.package]
  info.macro = given.macro and project.macros[given.macro]
  if given.hooks then info.hooks = hooks_from(given.hooks) end
  if given.source == true then info.source = member.raw_code end
  if given.overloads then
    info.overloads = {}
    for name, other in pairs(given.overloads) do info.overloads[name] = M.info_from(project, other, {}) end
  end
  return models.with_template(info)
end

local function add_infos(self, project)
  local file, groups, positions = self.file, self.head.groups, self.positions
  project.info = setmetatable({}, { __index = function(infos, id)
    for name, at in pairs(positions) do
      local i = at[id]
      if i then
        local given = json.decode(file:read(groups[name].first + #groups[name].ids + i - 1))
        if given == none then return nil end
        local info = M.info_from(project, given, project[name][id])
        rawset(infos, id, info)
        return info
      end
    end
  end })
end

-- Parts that are read as a whole --------------------------------------------------------------------------

local readers = {}

function readers.graph(project, graph)
  local ids = setmetatable(graph.ids, nil)
  local order, position, parents, children = {}, {}, {}, {}
  for _, id in ipairs(ids) do children[id] = {} end
  for i, at in ipairs(graph.order) do
    order[i] = ids[at]
    position[ids[at]] = i
  end
  for i, above in ipairs(graph.parents) do
    local id = ids[i]
    for j, at in ipairs(above) do
      local parent = ids[at] or at
      above[j] = parent
      local of = children[parent]
      if of then of[#of + 1] = id end
    end
    parents[id] = above
  end
  project.ids, project.order, project.position, project.parents, project.children = ids, order, position, parents,
    children
end

function readers.index(project, index) project.index = index end
function readers.groups(project, groups) project.groups = groups end
function readers.docs(project, docs)
  project.docs, project.doc_index = docs, {}
  for _, doc in pairs(docs) do docs_module.index(project, doc) end
end

function readers.disabled(project, disabled, self)
  project.disabled, project.disabled_info = disabled, {}
  for id, infos in pairs(json.decode(self.file:read(self.head.parts.disabled_info))) do
    for i, given in ipairs(infos) do
      if given ~= none then
        local node = disabled[id][i]
        project.disabled_info[node] = M.info_from(project, given, node)
      end
    end
  end
end

local part_of = { ids = "graph", order = "graph", position = "graph", parents = "graph", children = "graph",
  index = "index", groups = "groups", docs = "docs", doc_index = "docs", disabled = "disabled",
  disabled_info = "disabled" }

local function add_parts(self, project)
  for field in pairs(part_of) do project[field] = nil end
  setmetatable(project, { __index = function(_, field)
    local part = part_of[field]
    if not part then return nil end
    readers[part](project, json.decode(self.file:read(self.head.parts[part])), self)
    return rawget(project, field)
  end })
end

--- The ids of the models that are time spines.
---@return string[]
function M:spines() return self.head.spines end

-- Columns -----------------------------------------------------------------------------------------------

--- See lua/project/members.lua.
---@param project table
---@return fun(id: string): table
function M:reader(project)
  local columns, at = {}, {}
  for i, id in ipairs(project.ids) do at[id] = i end
  for name, number in pairs(self.head.columns) do
    columns[name] = setmetatable({}, { __index = function(_, i)
      local read = json.decode(self.file:read(number))
      columns[name] = read
      return read[i]
    end })
  end
  local current
  local row = setmetatable({}, { __index = function(_, field)
    if field == "unique_id" then return current end
    if field == "resource_type" then return members.kind(current) end
    local column = columns[field]
    if column then
      local v = column[at[current]]
      return v ~= false and v or nil
    end
    local member = members.get(project, current)
    return member and member[field]
  end })
  return function(id)
    for _, group in ipairs(members.groups) do
      local member = rawget(project[group], id)
      if member then return member end
    end
    current = id
    return row
  end
end

-- The whole ---------------------------------------------------------------------------------------------

--- Takes the place of what a project holds that has just been kept: its members are read again when they are asked
--- for, and until then take no memory.
---@param project table
function M:adopt(project)
  local beside = {}
  for id, operation in pairs(project.operations) do beside[operation.unique_id or id] = operation end
  local infos = {}
  for _, hooks in pairs(project.run_hooks) do
    for _, hook in ipairs(hooks) do infos[hook.id] = project.info[hook.id] end
  end
  for id in pairs(beside) do infos[id] = project.info[id] end
  self:restore(project)
  for id, info in pairs(infos) do project.info[id] = info end
  for id, operation in pairs(beside) do
    if operation.node then operation.node = project.nodes[id] end
  end
  project.warnings = project.problems.warnings
end

--- Fills a project whose settings and macros are loaded.
---@param project table
function M:restore(project)
  project.stored = self
  add_groups(self, project)
  add_infos(self, project)
  add_parts(self, project)
  local warnings = {}
  for i, fields in ipairs(self.head.warnings) do
    local warning = {}
    for name, v in pairs(fields) do warning[name] = v end
    warnings[i] = err.new(warning)
  end
  project.problems.warnings = warnings
end

--- The entries of properties files that describe operations.
---@param project table
---@return dex.Entry[]
function M:operation_entries(project)
  local entries = setmetatable(json.decode(self:text "operations"), nil)
  for _, entry in ipairs(entries) do
    entry.package, entry.line = project.packages[entry.package], value.opt(entry.line)
  end
  return entries
end

--- The text of one part, such as `names`.
---@param name string
---@return string
function M:text(name) return self.file:read(self.head.parts[name]) end

-- The pieces of a group's dict in the manifest: texts for members that have been read, since they may have been
-- changed, and ranges of the file for all between.
local function add_members(self, pieces, name, group)
  local of, known = self.head.groups[name], self.positions[name]
  local from
  local function range(to)
    if from then table.move({ of.first + from - 1, of.first + to - 1 }, 1, 2, #pieces + 1, pieces) end
    from = nil
  end
  for i, id in ipairs(group[ORDER]) do
    if known[id] and rawget(group, id) == nil then
      from = from or i
    else
      range(i - 1)
      pieces[#pieces + 1] = (i > 1 and ", " or "") .. json.encode(id) .. ": " .. secrets.encode(group[id])
    end
  end
  range(#group[ORDER])
end

local edges = { parent_map = true, child_map = true }

--- Writes the manifest of a project that came from here.
---@param project table
---@param path string
function M:write_manifest(project, path)
  local pieces = { "{" }
  for i, name in ipairs(manifest.order) do
    pieces[#pieces + 1] = (i > 1 and ", " or "") .. json.encode(name) .. ": "
    local fixed = self.head.manifest[name]
    if self.positions[name] then
      pieces[#pieces + 1] = "{"
      add_members(self, pieces, name, project[name])
      pieces[#pieces + 1] = "}"
    elseif fixed and not (project.edges_changed and edges[name]) then
      table.move({ fixed, fixed }, 1, 2, #pieces + 1, pieces)
    else
      pieces[#pieces + 1] = secrets.encode(manifest.part(project, name))
    end
  end
  pieces[#pieces + 1] = "}"
  self.file:compose(path, pieces)
end

return M
