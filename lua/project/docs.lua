--- {% docs %} blocks and descriptions that use them.

local blocks = require "project.blocks"
local build = require "project.node"
local context = require "project.context"
local err = require "err"
local files = require "project.files"
local fs = require "dex.fs"
local jinja = require "jinja"
local value = require "jinja.value"

local M = {}

local only_docs = { docs = true }

--- Makes a block known by its name.
---@param project table
---@param doc table of project.docs
function M.index(project, doc)
  local by_name = project.doc_index[doc.name] or {}
  project.doc_index[doc.name] = by_name
  by_name[#by_name + 1] = { package = doc.package_name, id = doc.unique_id }
end

local function load_file(project, package, file)
  local source = fs.read(file.abs)
  if not source:find("docs", 1, true) then return end
  for _, block in ipairs(blocks.find(source, { file = file.display }, only_docs)) do
    local id = ("doc.%s.%s"):format(package.name, block.name)
    local known = project.docs[id]
    if known then
      err.raise { code = 121, message = ("two docs blocks of package '%s' have the name '%s': the other one is in %s")
        :format(package.name, block.name, known.original_file_path), file = file.display, line = block.line }
    end
    local text = block.contents
    if text:find("{[{%%#]") then text = jinja.render(text, {}, { file = file.display, line = block.contents_line }) end
    project.docs[id] = build.doc { name = block.name, resource_type = "doc", package_name = package.name,
      path = file.path, original_file_path = file.original, unique_id = id,
      block_contents = text:match("^%s*(.-)%s*$") }
    M.index(project, project.docs[id])
  end
end

--- Reads the docs blocks of all packages into project.docs. (The built-in `__overview__` is not there.)
---@param project table
function M.load(project)
  project.docs, project.doc_index = value.dict(), {}
  for _, package in ipairs(project.packages) do
    for _, file in ipairs(files.find(package, package.paths.docs, { ".md" })) do
      project.problems:try({ file = file.display }, load_file, project, package, file)
    end
  end
end

-- The block of a name as seen from a package: the given package's, else the root's, else the package's own,
-- else any.
local function resolve(project, package, name, from)
  local candidates = project.doc_index[name] or {}
  local order = from and { from } or { project.name, package }
  for _, wanted in ipairs(order) do
    for _, candidate in ipairs(candidates) do
      if candidate.package == wanted then return project.docs[candidate.id] end
    end
  end
  return not from and candidates[1] and project.docs[candidates[1].id] or nil
end

local function find(project, package, name, from, where)
  local doc = resolve(project, package, name, from)
  if not doc then
    local names = {}
    for known in pairs(project.doc_index) do names[#names + 1] = known end
    err.raise { code = 121, message = ("there is no docs block '%s'"):format(tostring(name)), file = where.file,
      line = where.line, hint = err.did_you_mean(tostring(name), names) }
  end
  return doc
end

local function docs_context(project, package, where, used)
  local parent = context.properties(project, package)
  return setmetatable({ doc = value.fn("doc(first, second=none)", function(first, second)
    local doc
    if second == value.none then
      doc = find(project, package, first, nil, where)
    else
      doc = find(project, package, second, first, where)
    end
    used[#used + 1] = doc.unique_id
    return doc.block_contents
  end) }, { __index = parent })
end

--- Renders a description.
---@param project table
---@param package string name of the package that it stands in
---@param text string
---@param where {file: string, line?: integer}
---@return string text
---@return table|nil list of unique_ids of the docs blocks used; nil without any
function M.render(project, package, text, where)
  if type(text) ~= "string" then return text, nil end
  -- rendering takes a line's end from the end of a text, and dbt renders all of them
  if not text:find("{[{%%#]") then return (text:gsub("\n$", "")), nil end
  local used = value.list()
  local name = text:match("^%s*{{%s*doc%(%s*['\"]([%w_]+)['\"]%s*%)%s*}}%s*$")
  if name then
    local doc = find(project, package, name, nil, where)
    used[1] = doc.unique_id
    return doc.block_contents, used
  end
  local rendered = jinja.render(text, docs_context(project, package, where, used), { file = where.file,
    line = where.line })
  return rendered, used
end

--- Whether a description comes to another text when it is rendered.
---@param text any
---@return boolean
function M.is_rendered(text) return type(text) == "string" and text:find("[{\n]") ~= nil end

--- Renders the descriptions of a node, source or macro and of its columns, in place.
---@param project table
---@param item table dict with description, columns, doc_blocks
---@param where {file: string, line?: integer}
function M.apply(project, item, where)
  local used
  item.description, used = M.render(project, item.package_name, item.description, where)
  if used and item.doc_blocks then item.doc_blocks = used end
  if item.source_description then
    item.source_description = M.render(project, item.package_name, item.source_description, where)
  end
  for _, column in pairs(item.columns or {}) do
    if type(column) == "table" and column.description ~= "" then
      column.description, used = M.render(project, item.package_name, column.description, where)
      if used then column.doc_blocks = used end
    end
  end
end

return M
