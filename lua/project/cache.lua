--- The parse cache: a loaded project in a file of its target folder, so that the next command reads none of the
-- project's files. It holds as long as everything that the load has asked gives the same answers: settings, variables,
-- environment, flags, and each file and folder (engine/base/inputs.h). What cannot be told, or written to a file and
-- come back as it was, is never kept: the project is read then, as it is after any change.
--
-- The file is a row of texts (engine/base/chunks.h): for each group of members first their JSON as it stands in the
-- manifest, then what stands beside each; parts of the project by name; last, the questions to the file system, and
-- the table of contents. Members are read from it one by one, when somebody asks for them (lua/project/stored.lua).

local asked = require "project.asked"
local cache = require "dex.cache"
local env = require "dex.env"
local err = require "err"
local flags = require "run.flags"
local fs = require "dex.fs"
local hash = require "dex.hash"
local json = require "dex.json"
local manifest = require "project.manifest"
local members = require "project.members"
local printing = require "jinja.printing"
local root = require "project.root"
local secrets = require "run.secrets"
local stored = require "project.stored"
local time = require "dex.time"
local uuid = require "dex.uuid"
local value = require "jinja.value"

local M = {}

local dict, list, none, opt = value.dict, value.list, value.none, value.opt

--- The file's name below the target folder.
M.FILE = "partial_parse.dex"

local FORMAT = 1
local MOST_CHANGED = 50 -- files beyond that are read with all others

local function path_of(project) return project.target_path .. "/" .. M.FILE end

local exact = { exact = true }

local function encode(v) return json.encode(v, exact) end

-- What a load depends on ------------------------------------------------------------------------------

local function settings_text(package)
  local name = package.file:match("[^/]+$")
  return fs.read(package.dir .. "/" .. name)
end

local function packages_of(project)
  local found = {}
  for i, package in ipairs(project.packages) do
    found[i] = table.concat({ package.name, package.dir, package.prefix, settings_text(package),
      printing.repr(package.config), printing.repr(project.vars.files[package.name] or none) }, "\0")
  end
  return table.concat(found, "\0\0")
end

-- Whether the project's Lua may ask the system anything by itself.
local function has_free_lua(project)
  local package = project.packages[1]
  for _, file in ipairs(require("project.files").find(package, package.paths.macro, { ".lua" })) do
    local text = fs.read(file.abs)
    if text:find("%f[%w_]io%f[^%w_]") or text:find("%f[%w_]os%f[^%w_]") then return true end
  end
  return false
end

-- The settings of a load as one checksum; nil when the load is not to be kept.
local function key_of(project)
  local program = cache.program()
  if not program or opt(env.get "DEX_LUA") then return nil end
  local profile = project.profile
  local parts = { tostring(FORMAT), program, root.dbt_version, project.root, project.file, project.target_path,
    printing.repr(profile.target), profile.type, table.concat(profile.adapter_types, " "),
    printing.repr(project.vars.cli), tostring(project.flags.store_failures), packages_of(project),
    table.concat(secrets.known(project), "\0") }
  return hash.sha256(table.concat(parts, "\0\0\0"))
end

local function custom_env()
  local found = {}
  for name, v in pairs(env.all()) do
    if name:find("^DBT_ENV_CUSTOM_ENV_") then found[#found + 1] = name .. "=" .. v end
  end
  table.sort(found)
  return hash.sha256(table.concat(found, "\0"))
end

local function sorted(set)
  local names = {}
  for name in pairs(set) do names[#names + 1] = name end
  table.sort(names)
  return names
end

-- The answers to what templates ask, as a dict; values of the environment only as checksums.
local function answers(project, of)
  local found = dict("env", dict(), "flags", dict(), "args", none, "custom_env", none, "hour", none)
  for _, name in ipairs(sorted(of.env)) do
    local v = env.get(name)
    found.env[name] = v and hash.sha256(v) or none
  end
  for _, name in ipairs(sorted(of.flags)) do found.flags[name] = hash.sha256(flags.fingerprint(project, name)) end
  if of.args then
    found.args = hash.sha256(printing.repr(value.or_none(project.args)) .. tostring(project.command))
  end
  if of.custom_env then found.custom_env = custom_env() end
  if of.hour then found.hour = time.now() // 3600 end
  return found
end

local function same_answers(project, known)
  local of = { env = {}, flags = {}, args = known.args ~= none, custom_env = known.custom_env ~= none,
    hour = known.hour ~= none }
  for name in pairs(known.env) do of.env[name] = true end
  for name in pairs(known.flags) do of.flags[name] = true end
  return json.encode(answers(project, of)) == json.encode(known)
end

-- Writing ---------------------------------------------------------------------------------------------

local function check_secrets(known, text)
  for _, secret in ipairs(known) do
    if text:find(secret, 1, true) then err.raise { code = 901, message = "a secret is in what would be kept" } end
  end
end

-- The members of a group: where their texts begin, and their ids in order. Those that other processes have written
-- and nobody has read since are copied.
local function add_group(project, writer, group, known)
  local ids = value.keys(project[group])
  local gathered = group == "nodes" and project.stored
  local first = none
  for i, id in ipairs(ids) do
    local head = (i > 1 and ", " or "") .. json.encode(id) .. ": "
    local number = gathered and gathered:copy(project, id, writer, head)
    if not number then
      local text = head .. encode(project[group][id])
      check_secrets(known, text)
      number = writer:add(text)
    end
    if i == 1 then first = number end
  end
  for _, id in ipairs(ids) do
    if not (gathered and gathered:copy_info(project, id, writer)) then
      local info = project.info[id]
      writer:add(info and not info.hook and encode(stored.info_of(info, project[group][id])) or "null")
    end
  end
  return dict("first", first, "ids", list(ids))
end

-- Lists of ids as lists of their positions; what is no member stays a text.
local function by_position(position, ids)
  local found = list()
  for i, id in ipairs(ids) do found[i] = position[id] or id end
  return found
end

local function index_of(project)
  local found = dict()
  for name, part in pairs(project.index) do
    local by_name = dict()
    for _, key in ipairs(sorted(part)) do
      local by_package = dict()
      for _, package in ipairs(sorted(part[key])) do by_package[package] = part[key][package] end
      by_name[key] = by_package
    end
    found[name] = by_name
  end
  return found
end

local function disabled_infos(project)
  local found = dict()
  for id, nodes in pairs(project.disabled) do
    local infos = list()
    for i, node in ipairs(nodes) do
      local info = project.disabled_info[node]
      infos[i] = info and stored.info_of(info, node) or none
    end
    found[id] = infos
  end
  return found
end

local function warnings_of(problems)
  local found = list()
  for i, warning in ipairs(problems) do
    local fields = dict()
    for _, name in ipairs(sorted(warning)) do fields[name] = warning[name] end
    found[i] = fields
  end
  return found
end

local function graph_of(project)
  local position = {}
  for i, id in ipairs(project.ids) do position[id] = i end
  local parents = list()
  for i, id in ipairs(project.ids) do parents[i] = by_position(position, project.parents[id]) end
  return dict("ids", list(table.move(project.ids, 1, #project.ids, 1, {})), "order",
    by_position(position, project.order), "parents", parents)
end

local function entries_of(entries)
  local found = list()
  for i, entry in ipairs(entries or {}) do
    local file = dict()
    for _, name in ipairs(sorted(entry.file)) do file[name] = entry.file[name] end
    found[i] = dict("data", entry.data, "raw", entry.raw, "name", entry.name, "section", entry.section, "package",
      entry.package.name, "file", file, "line", value.or_none(entry.line))
  end
  return found
end

-- The models by their files.
local function model_files(project)
  local found = dict()
  local reader = members.reader(project)
  for _, id in ipairs(members.ids(project, "nodes")) do
    if members.kind(id) == "model" then
      local file = reader(id).file or project.info[id] and project.info[id].file
      if file then found[file] = id end
    end
  end
  return found
end

-- The parts of the project that are read as a whole, when they are first asked for.
local function parts_of(project, of_operations)
  return {
    operations = entries_of(of_operations), model_files = model_files(project),
    graph = graph_of(project), index = index_of(project), disabled = project.disabled,
    disabled_info = disabled_infos(project), docs = project.docs, groups = project.groups,
  }
end

-- The fields that passes over all members read, each as a list in the order of project.ids.
local function columns_of(project)
  local found = dict()
  for _, name in ipairs(members.columns) do found[name] = list() end
  local reader = members.reader(project)
  for i, id in ipairs(project.ids) do
    local member = reader(id)
    for name, column in pairs(found) do column[i] = opt(member[name]) or false end
  end
  return found
end

-- `loaded` is what is known of the load: its key, an identity of its own, its questions to the file system, to the
-- environment and to flags, and the entries of operations. Without a key it is kept for this command only.
local function write(project, writer, loaded)
  local head = dict("key", loaded.key or none, "id", loaded.id, "answers", loaded.key and answers(project, loaded.asked)
    or none, "groups", dict(),
    "parts", dict(), "manifest", dict(), "warnings", warnings_of(project.problems.warnings), "spines", list(),
    "columns", dict(), "reads_graph",
    loaded.key ~= nil and loaded.asked.graph)
  local known = secrets.known(project)
  for i, node in ipairs(members.spines(project)) do head.spines[i] = node.unique_id end
  if project.stored then project.stored:check_secrets() end
  for _, group in ipairs(members.groups) do head.groups[group] = add_group(project, writer, group, known) end
  local parts = parts_of(project, loaded.of_operations)
  for _, name in ipairs(sorted(parts)) do head.parts[name] = writer:add(encode(parts[name])) end
  for _, name in ipairs(manifest.fixed) do
    local text = encode(manifest.part(project, name))
    check_secrets(known, text)
    head.manifest[name] = writer:add(text)
  end
  for name, column in pairs(columns_of(project)) do head.columns[name] = writer:add(encode(column)) end
  head.parts.names = writer:add(require("help.names").text(project))
  writer:add(loaded.inputs or "")
  writer:add(encode(head))
  writer:finish()
end

--- Begins to watch what a load asks. Nothing is watched when the load is not to be kept.
---@param project table with its settings
---@return string|nil key for M.save
function M.watch(project)
  local key = key_of(project)
  if not key then return nil end
  cache.watch()
  asked.begin()
  return key
end

--- Ends the watching without keeping anything: the load has failed.
function M.forget()
  cache.watched()
  asked.finish()
end

--- Keeps a loaded project. That it cannot be kept is none of the command's business: nothing is there then, rather
--- than something that does not hold.
---@param project table
---@param key string what M.watch gave
---@param of_operations dex.Entry[]|nil entries of properties files that describe operations
---@return dex.Stored|nil what was kept
---@return string|nil why it could not be kept
function M.save(project, key, of_operations)
  local inputs, of = cache.watched(), asked.finish()
  if has_free_lua(project) then return nil, "Lua among the macros may ask the system" end
  local writer
  local id = uuid()
  local ok, e = pcall(function()
    fs.mkdirs(project.target_path)
    writer = cache.writer(path_of(project))
    write(project, writer, { key = key, id = id, inputs = inputs, asked = of, of_operations = of_operations })
  end)
  if ok then
    local file = cache.open(path_of(project))
    local head = file and json.decode(file:read(file:count() - 1))
    if head and head.id == id then return stored.new(file, head) end -- else another command's came between
    return nil, "another command has written it"
  end
  if writer then writer:close() end
  return nil, tostring(err.wrap(e).message)
end

--- Puts a project that has come from several processes into a file of its own, for this command only, so that it need
-- not be held in memory.
---@param project table
---@param of_operations dex.Entry[]|nil
---@return dex.Stored|nil nil when that cannot be: there are secrets in it, or the disk is full
function M.set_aside(project, of_operations)
  local ok, writer = pcall(function()
    local writer = cache.unnamed(project.target_path)
    write(project, writer, { id = uuid(), of_operations = of_operations })
    return writer
  end)
  local file = ok and writer:file()
  if not file then return nil end
  return stored.new(file, json.decode(file:read(file:count() - 1)))
end

-- Reading ---------------------------------------------------------------------------------------------

-- The table of contents when everything still holds.
local function contents(project, file, key)
  local count = file:count()
  if count < 2 then return nil end
  local head = json.decode(file:read(count - 1))
  if head.key ~= key or not same_answers(project, head.answers) then return nil end
  local changed = cache.changed(file:read(count - 2))
  if not changed or #changed > MOST_CHANGED then return nil end
  return head, changed
end

--- Looks for a kept load that still holds, but for files that have another content now.
---@param project table with its settings
---@return dex.Stored|nil
---@return string[]|nil changed absolute paths
function M.find(project)
  local key = key_of(project)
  local file = key and cache.open(path_of(project))
  if not file then return nil end
  local ok, head, changed = pcall(contents, project, file, key)
  if ok and head then return stored.new(file, head), changed end
  file:close()
  return nil
end

return M
