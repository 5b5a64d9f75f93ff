--- Finds and loads the Lua files of hooks: those of the project first, then those of the packages, then the
-- ready-made ones of the standard library. A file is loaded once, when a hook of it is first needed,
-- in an environment of its own: it sees Lua's library, and any other global, read or written, is an error
-- with file and line.

local embed = require "dex.embed"
local err = require "err"
local fs = require "dex.fs"
local sandbox = require "project.sandbox"

local M = {}

local opt = require("jinja.value").opt

--- A loader with its own cache: one for a run.
---@param project table
---@param opts? {folder?: string, kind?: string, returns: string} for other files than hooks: their folder, or the kind
---  of the packages' paths that they lie in; what each returns
---@return dex.HookModules
function M.new(project, opts)
  local roots = {}
  for i, package in ipairs(project.packages) do
    local others = opts and (opts.kind and package.paths[opts.kind] or { opts.folder })
    local paths = others or opt(package.config and package.config["hook-paths"]) or { "hooks" }
    for _, path in ipairs(paths) do
      roots[#roots + 1] = { dir = package.dir .. "/" .. path, shown = i == 1 and path or (package.dir .. "/" .. path),
        package = package.name, trusted = i == 1 }
    end
  end
  local packages = {}
  for i, package in ipairs(project.packages) do
    packages[i] = { name = package.name, folder = package.prefix or "" }
  end
  return setmetatable({ roots = roots, packages = packages, known = {}, loaded = {}, chunks = {},
    returns = opts and opts.returns or "table", folder = opts and (opts.folder or opts.kind .. "s") or "hooks",
    noun = not opts and "hook module" or opts.kind or "materialization" }, { __index = M })
end

-- Where a module is: its text and its names. nil when there is none.
local function find(self, name, package)
  local path = name:gsub("%.", "/") .. ".lua"
  local first, rest = {}, {}
  for _, root in ipairs(self.roots) do
    local list = root.package == package and not root.trusted and first or rest
    list[#list + 1] = root
  end
  for _, root in ipairs(table.move(rest, 1, #rest, #first + 1, first)) do
    local file = root.dir .. "/" .. path
    if fs.exists(file) then
      return { text = fs.read(file), file = file, chunk = root.shown .. "/" .. path, trusted = root.trusted,
        package = root.package }
    end
  end
  local builtin = ("stdlib/%s/%s"):format(self.folder, path)
  local ok, text = pcall(embed.read, builtin)
  if ok and text then
    return { text = text, file = builtin, chunk = builtin, trusted = true, package = "dex" }
  end
end

local function names_of(self)
  local names, seen = {}, {}
  local function add(path)
    local name = path:match("^(.*)%.lua$")
    if name and not seen[name] then
      seen[name] = true
      names[#names + 1] = (name:gsub("/", "."))
    end
  end
  for _, root in ipairs(self.roots) do
    if fs.isdir(root.dir) then
      for _, path in ipairs(fs.walk(root.dir)) do add(path) end
    end
  end
  for _, path in ipairs(embed.list("stdlib/hooks/")) do add((path:gsub("^stdlib/hooks/", ""))) end
  table.sort(names)
  return names
end

--- Takes the place off a Lua error's text: "hooks/audit.lua:3: words".
---@param text string
---@return string|nil file the module's file; nil when the text points elsewhere
---@return integer|nil line
---@return string message
function M:place(text)
  local chunk, line, message = text:match("^([^\n:]+):(%d+): (.*)$")
  if not chunk or not self.chunks[chunk] then return nil, nil, text end
  return self.chunks[chunk], math.tointeger(tonumber(line)), message
end

local function environment(self, found)
  return sandbox.environment { trusted = found.trusted, require = function(name)
    return self:load(name, found.package).value
  end }
end

-- How Lua's own messages name a chunk: long names are cut.
local function name_in_messages(chunk)
  local _, message = pcall(load("error('')", "@" .. chunk))
  return message:match("^(.*):1: $") or chunk
end

local function describe(self, e, found)
  if err.is(e) then return e end
  local file, line, message = self:place(tostring(e))
  return err.new { code = 503, message = message, file = file or found.file, line = line }
end

--- The module of a name.
---@param name string such as "audit" or "finance.audit"
---@param package? string name of the package whose hook asks: its own modules come first
---@return {value: table, file: string, chunk: string}
function M:load(name, package)
  local asked = ("%s\0%s"):format(package or "", name)
  local known = self.known[asked]
  if known then return known end
  local found = find(self, name, package)
  if not found then
    err.raise { code = 504, message = ("there is no %s '%s'"):format(self.noun, name),
      hint = err.did_you_mean(name, names_of(self)) or "modules are files of the hooks folder: hooks/" ..
        name:gsub("%.", "/") .. ".lua" }
  end
  local module = self.loaded[found.file]
  if module then
    if module.loading then
      err.raise { code = 503, message = ("the %s '%s' requires itself"):format(self.noun, name), file = found.file }
    end
    self.known[asked] = module
    return module
  end
  module = { file = found.file, chunk = found.chunk, trusted = found.trusted, package = found.package, loading = true }
  self.chunks[name_in_messages(found.chunk)] = found.file
  local chunk, message = load(found.text, "@" .. found.chunk, "t", environment(self, found))
  if not chunk then error(describe(self, message, found), 0) end
  self.loaded[found.file] = module
  local ok, value = pcall(chunk)
  module.loading = nil
  if not ok then
    self.loaded[found.file] = nil
    error(describe(self, value, found), 0)
  end
  if type(value) ~= self.returns then
    self.loaded[found.file] = nil
    local of_hooks = self.returns == "table"
    err.raise { code = 503, message = ("the %s '%s' returns %s: it must return %s"):format(
      self.noun, name, value == nil and "nothing" or "a " .. type(value),
      of_hooks and "its table of functions" or "a function"), file = found.file }
  end
  module.value = value
  self.known[asked] = module
  return module
end

--- Every module of the project and its packages, those of the project first, each in the order of its names.
--- Raises what is wrong with one.
---@return table[] modules as load() gives, with `name` and `package`
function M:all()
  local found = {}
  for _, root in ipairs(self.roots) do
    local paths = fs.isdir(root.dir) and fs.walk(root.dir) or {}
    table.sort(paths)
    for _, path in ipairs(paths) do
      local name = path:match("^(.*)%.lua$")
      name = name and name:gsub("/", ".")
      local module = name and not name:find("^%.") and self:load(name, root.package)
      -- a file of a package that the project replaces is not loaded
      if module and module.package == root.package then
        module.name = name
        found[#found + 1] = module
      end
    end
  end
  return found
end

--- The package in whose files a hook is declared; nil for the root project's own.
---@param hook {file: string, package?: string}
---@return string|nil
function M:package_of(hook)
  local declared = opt(hook.package)
  if declared then return declared ~= self.packages[1].name and declared or nil end
  for i = 2, #self.packages do
    local folder = self.packages[i].folder
    if hook.file and hook.file:sub(1, #folder) == folder then return self.packages[i].name end
  end
end

--- The function that a hook names.
---@param reference string "audit.row_count", "finance/audit.row_count"
---@param hook {file: string, line: integer, package?: string} where it is named, for the message
---@return function
---@return table module
function M:resolve(reference, hook)
  local name, fn = reference:gsub("/", "."):match("^(.*)%.([^.]+)$")
  local ok, module = pcall(self.load, self, name, self:package_of(hook))
  if not ok then
    if err.is(module) and module.code == 504 and not module.file then
      module.file, module.line = hook.file, hook.line
    end
    error(module, 0)
  end
  local found = rawget(module.value, fn)
  if type(found) ~= "function" then
    local names = {}
    for key, item in pairs(module.value) do
      if type(item) == "function" then names[#names + 1] = key end
    end
    table.sort(names)
    err.raise { code = 504, message = ("the hook module %s has no function '%s'"):format(module.chunk, fn),
      file = hook.file, line = hook.line,
      hint = err.did_you_mean(fn, names) or (#names > 0 and "it has " .. table.concat(names, ", ") or nil) }
  end
  return found, module
end

return M
