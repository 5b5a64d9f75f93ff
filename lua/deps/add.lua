--- `deps --add-package`: one more entry of packages.yml (or dependencies.yml, where packages stand there), or another
-- version in the entry that is there. The rest of the file stays as its author wrote it, comments and all.

local err = require "err"
local entries = require "deps.entries"
local fs = require "dex.fs"
local json = require "dex.json"
local value = require "jinja.value"

local M = {}


local function usage(message, hint) err.raise { code = 101, message = "--add-package: " .. message, hint = hint } end

-- NAME@VERSION and what --source says -> the entry's fields in their order.
local function wanted(text, source)
  local name, version = text:match("^(.-)@([^@/]+)$")
  name = name or text
  if name == "" then usage(("'%s' names no package"):format(text)) end
  if source == "hub" then
    if not version then
      usage(("'%s' has no version"):format(text), ("such as --add-package %s@1.3.0"):format(text))
    end
    return { { "package", name }, { "version", version } }
  end
  if source == "git" then
    if not version then usage(("'%s' has no revision"):format(text), "a tag, branch or commit after an @") end
    return { { "git", name }, { "revision", version } }
  end
  if source == "tarball" then
    local short = name:match("([^/]+)$"):gsub("%.tar%.gz$", ""):gsub("%.tgz$", "")
    return { { "tarball", name }, { "name", short } }
  end
  return { { "local", name } }
end

local function render(fields, indent)
  local lines = {}
  for i, field in ipairs(fields) do
    lines[i] = ("%s%s: %s"):format((" "):rep(indent) .. (i == 1 and "- " or "  "), field[1], json.encode(field[2]))
  end
  return lines
end

local function lines_of(text)
  local lines = {}
  for line in text:gmatch("([^\n]*)\n?") do lines[#lines + 1] = line end
  while lines[#lines] == "" do lines[#lines] = nil end
  return lines
end

-- The line on which `packages:` stands, and how far its items are indented.
local function list_in(lines)
  for i, line in ipairs(lines) do
    if line:find("^packages:%s*$") or line:find("^packages:%s*#") then
      for k = i + 1, #lines do
        local indent = lines[k]:match("^(%s*)%-")
        if indent then return i, #indent end
        if lines[k]:find("^%S") and not lines[k]:find("^#") then break end
      end
      return i, 2
    end
  end
end

-- The last line of the block that begins at a line: what follows is indented deeper.
local function last_of(lines, first, indent)
  local last = first
  for i = first + 1, #lines do
    local depth = lines[i]:match("^(%s*)[^%s#]")
    if depth then
      local item = lines[i]:find("^%s*%-")
      if #depth < indent or (#depth == indent and not item) or (indent > 0 and #depth == 0 and not item) then break end
      last = i
    end
  end
  return last
end

-- Where the item of an entry stands: its first and last line.
local function item_of(lines, entry, indent)
  local first = entry.line
  while first > 0 and not lines[first]:find("^" .. (" "):rep(indent) .. "%-") do first = first - 1 end
  local last = first
  for i = first + 1, #lines do
    local depth, mark = lines[i]:match("^(%s*)([^%s#])")
    if depth and (#depth < indent or (#depth == indent and mark == "-") or #depth == 0) then break end
    if depth then last = i end
  end
  return first, last
end

local function same(entry, fields)
  local key = fields[1][1]
  return entry.raw[key] == fields[1][2]
end

-- The file that holds the packages.
local function file_of(package)
  local other = package.dir .. "/dependencies.yml"
  if not fs.exists(package.dir .. "/packages.yml") and fs.exists(other)
    and entries.read_file(other, { display = package.prefix .. "dependencies.yml", base = package.dir }) then
    return "dependencies.yml"
  end
  return "packages.yml"
end

--- Writes the entry. Raises 101 or 119 when it is none, before the file is touched.
---@param package dex.Package the root project
---@param text string NAME@VERSION
---@param source "hub"|"git"|"tarball"|"local"
---@param log fun(level: string, text: string)
function M.write(package, text, source, log)
  local fields, name = wanted(text, source), file_of(package)
  local path, display = package.dir .. "/" .. name, package.prefix .. name
  local lines = fs.exists(path) and lines_of(fs.read(path)) or {}
  local known = fs.exists(path) and entries.read_file(path, { display = display, base = package.dir }) or {}
  local at, indent = list_in(lines)
  if not at then
    if #known > 0 then
      err.raise { code = 119, message = "`packages` is written in brackets: an entry cannot be added to it",
        file = display, line = 1, hint = "write one package a line, each with a dash" }
    end
    lines[#lines + 1] = "packages:"
    at, indent = #lines, 2
  end
  local block = render(fields, indent)
  local last = last_of(lines, at, indent)
  local first = last + 1
  for _, entry in ipairs(known) do
    if same(entry, fields) then first, last = item_of(lines, entry, indent) end
  end
  local out = table.move(lines, 1, first - 1, 1, {})
  table.move(block, 1, #block, #out + 1, out)
  table.move(lines, last + 1, #lines, #out + 1, out)
  local content = table.concat(out, "\n") .. "\n"
  -- The entry has to be one before the file is touched.
  local data = value.dict()
  for _, field in ipairs(fields) do data[field[1]] = field[2] end
  entries.make(data, data, { file = display, base = package.dir })
  fs.write(path, content)
  log("info", ("%s %s in %s"):format(last >= first and "Updated" or "Added", fields[1][2], display))
end

return M
