--- What a project or package asks for: the `packages` of packages.yml or dependencies.yml, and of package-lock.yml.

local context = require "project.context"
local err = require "err"
local fs = require "dex.fs"
local lines_of = require("project.lines").of
local tree = require "project.tree"
local value = require "jinja.value"
local version = require "deps.version"
local yaml = require "dex.yaml"

local M = {}

local opt = value.opt

--- One package that is asked for.
---@class dex.PackageEntry
---@field kind "local"|"git"|"tarball"|"hub"
---@field data table dict, rendered
---@field raw table dict as written: secrets are names in it
---@field base string folder of the package that asks
---@field file string
---@field line integer|nil

local kinds = { ["local"] = "local", git = "git", tarball = "tarball", package = "hub" }
local keys = { ["local"] = { "local", "name" }, git = { "git", "revision", "subdirectory", "warn-unpinned", "name" },
  tarball = { "tarball", "name" }, hub = { "package", "version", "install_prerelease", "install-prerelease", "name" } }

local function bad(where, message, key, hint)
  err.raise { code = 119, message = message, file = where.file, hint = hint,
    line = lines_of(where.lines, where.raw, key) or where.line }
end

local function check_keys(kind, data, where)
  if not where.warn then return end
  local known = {}
  for _, key in ipairs(keys[kind]) do known[key] = true end
  for _, key in ipairs(value.keys(data)) do
    if not known[key] then
      where.warn { code = 130, message = ("a %s package has no key '%s'"):format(kind, tostring(key)),
        file = where.file, line = lines_of(where.lines, where.raw, key) or where.line,
        hint = err.did_you_mean(tostring(key), keys[kind]) }
    end
  end
end

--- The versions that an entry of an index asks for. Raises 119 when one of them is none.
---@param data table dict of the entry
---@param where {file: string|nil, line: integer|nil, lines: table|nil, raw: table|nil}
---@return dex.Version[]
function M.versions(data, where)
  local given = opt(data.version)
  if given == nil or given == "" then
    bad(where, ("package '%s' needs a `version`, such as \">=1.0.0,<2.0.0\""):format(data.package), "package")
  end
  local found = {}
  for _, text in ipairs(value.is_list(given) and given or { given }) do
    for part in tostring(text):gmatch("[^,]+") do
      local spec = version.parse(part)
      if not spec then
        bad(where, ("package '%s': '%s' is no version: it has three numbers, as 1.0.0 or >=1.0.0"):format(data.package,
          part), "version")
      end
      found[#found + 1] = spec
    end
  end
  return found
end

local function check_text(data, key, where)
  local v = opt(data[key])
  if type(v) ~= "string" or v == "" then bad(where, ("a package's `%s` must be a text"):format(key), key) end
end

local function check(kind, data, where)
  local key = kind == "hub" and "package" or kind
  check_text(data, key, where)
  if kind == "tarball" then check_text(data, "name", where) end
  if kind == "hub" then
    if not data.package:find("^[^/]+/[^/]+$") then
      bad(where, ("'%s' is no package of an index: these have a namespace, as dbt-labs/dbt_utils"):format(data.package),
        "package")
    end
    M.versions(data, where)
  end
  if kind == "git" and opt(data.revision) ~= nil and tostring(data.revision):find("^%-") then
    bad(where, ("'%s' is no revision"):format(tostring(data.revision)), "revision")
  end
  check_keys(kind, data, where)
end

--- Makes an entry from a mapping. Raises 119 when it is none.
---@param data table dict, rendered
---@param raw table dict as written
---@param where table file, line, lines, base, and perhaps `warn`
---@return dex.PackageEntry
function M.make(data, raw, where)
  where.raw = raw
  if not value.is_dict(data) then bad(where, "every package is a mapping, such as {git: URL, revision: TAG}") end
  local kind
  for key, name in pairs(kinds) do
    if data[key] ~= nil then
      if kind then bad(where, "a package is one of local, git, tarball and package, not several of them") end
      kind = name
    end
  end
  if not kind then
    bad(where, data.private ~= nil and "a `private` package needs dbt's platform: name its repository under `git`"
      or "a package needs one of local, git, tarball and package", data.private ~= nil and "private" or nil,
      err.did_you_mean(tostring(value.keys(data)[1]), { "local", "git", "tarball", "package" }))
  end
  check(kind, data, where)
  return { kind = kind, data = data, raw = raw, base = where.base, file = where.file, line = where.line }
end

-- The lists that a file holds: rendered, as written, and the lines.
local function read_list(path, display, render)
  local content, lines = yaml.decode(fs.read(path), display)
  if not value.is_dict(content) then return nil, nil, nil, content end
  local list = opt(content.packages)
  if list == nil then return nil, nil, nil, content end
  if not value.is_list(list) then
    err.raise { code = 119, message = "`packages` must be a list", file = display,
      line = lines_of(lines, content, "packages") }
  end
  local rendered = list
  if render then rendered = tree.render(list, { context = render, file = display, lines = lines }, { "packages" }) end
  return rendered, list, lines, content
end

--- Reads the entries of one file.
---@param path string
---@param where {display: string, base: string, render: table|nil, warn: function|nil} `render` is the context
---@return dex.PackageEntry[]|nil nil when it has no `packages`
---@return table content dict
function M.read_file(path, where)
  local rendered, raw, lines, content = read_list(path, where.display, where.render)
  if not rendered then return nil, content end
  local found = {}
  for i, data in ipairs(rendered) do
    found[i] = M.make(data, raw[i], { file = where.display, line = lines_of(lines, raw, i), lines = lines,
      base = where.base, warn = where.warn })
  end
  return found, content
end

--- What the project file's package asks for.
---@param package {dir: string, prefix: string}
---@param opts {vars: table, secrets: string[]|nil, warn: function|nil}
---@return dex.PackageEntry[]
function M.read(package, opts)
  local render = context.profile(opts.vars or value.dict(), opts.secrets or {})
  local found, from
  for _, name in ipairs { "packages.yml", "dependencies.yml" } do
    local path = package.dir .. "/" .. name
    if fs.exists(path) then
      local display = package.prefix .. name
      local entries, content = M.read_file(path, { display = display, base = package.dir, warn = opts.warn,
        render = name == "packages.yml" and render or nil })
      if entries and found then
        err.raise { code = 119, message = ("`packages` stands in both %s and %s: keep one of them"):format(from,
          display), file = display, line = 1 }
      end
      if name == "packages.yml" and value.is_dict(content) and content.projects ~= nil then
        err.raise { code = 119, message = "`projects` stands in packages.yml: its place is dependencies.yml",
          file = display, line = 1 }
      end
      if entries then found, from = entries, display end
    end
  end
  return found or {}
end

return M
