--- The columns of a node or source, from the list in a properties file.

local build = require "project.node"
local err = require "err"
local lines_of = require("project.lines").of
local merge = require "project.merge"
local value = require "jinja.value"

local M = {}

local opt = value.opt

-- Keys that have a field of their own, or are no property of the column.
local own = { name = true, description = true, meta = true, data_type = true, constraints = true, quote = true,
  config = true, tags = true, granularity = true, dimension = true, entity = true, tests = true, data_tests = true,
  docs = true, doc_blocks = true }

--- The tags of a column, beside it and in its config.
---@param data table dict of the properties file
---@return table list
function M.tags(data)
  local tags = value.list()
  local given = opt(data.tags)
  if given then merge.add_missing(tags, merge.listify(given)) end
  local config = opt(data.config)
  given = config and opt(config.tags)
  if given then merge.add_missing(tags, merge.listify(given)) end
  return tags
end

local function one(data)
  local meta = value.is_dict(data.meta) and value.copy(data.meta) or value.dict()
  local config = opt(data.config)
  if config and value.is_dict(config.meta) then
    for k, v in pairs(config.meta) do meta[k] = v end
  end
  local quote = opt(data.quote)
  local column = build.column { name = data.name, description = opt(data.description), meta = meta,
    data_type = opt(data.data_type), constraints = opt(data.constraints), quote = quote, tags = M.tags(data),
    granularity = opt(data.granularity), dimension = opt(data.dimension), entity = opt(data.entity) }
  for key, v in pairs(data) do
    if not own[key] then column[key] = v end
  end
  return column
end

--- Makes the `columns` of a node.
---@param list table|nil list of dicts with a name
---@return table dict by name
function M.make(list)
  local columns = value.dict()
  for _, data in ipairs(list or {}) do columns[data.name] = one(data) end
  return columns
end

local function included(rule, name)
  local include = opt(rule.include)
  local exclude = opt(rule.exclude)
  for _, other in ipairs(exclude and merge.listify(exclude) or {}) do
    if other == name then return false end
  end
  if include == nil or include == "*" or include == "all" then return true end
  for _, other in ipairs(merge.listify(include)) do
    if other == name then return true end
  end
  return false
end

--- The columns of one version of a model: those of the model that its include and exclude let through, and
--- its own.
---@param entry dex.Entry
---@param version table dict of the version
---@return table list of dicts
function M.of_version(entry, version)
  local rule, more = value.dict(), {}
  local count = 0
  for i, item in ipairs(opt(version.columns) or {}) do
    if item.include ~= nil or item.exclude ~= nil then
      rule = item
      count = count + 1
      if count > 1 then
        err.raise { code = 113, message = ("models '%s': a version has one item with include and exclude, not several")
          :format(entry.name), file = entry.file.display, line = lines_of(entry.lines, version.columns, i) }
      end
    else
      more[#more + 1] = item
    end
  end
  local list = value.list()
  for _, item in ipairs(opt(entry.data.columns) or {}) do
    if included(rule, item.name) then list[#list + 1] = item end
  end
  return table.move(more, 1, #more, #list + 1, list)
end

return M
