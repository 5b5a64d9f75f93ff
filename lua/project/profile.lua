--- profiles.yml: which database, as whom, how many connections.

local context = require "project.context"
local env = require "dex.env"
local err = require "err"
local fs = require "dex.fs"
local jinja = require "jinja"
local known = require "project.known"
local lines_of = require("project.lines").of
local tree = require "project.tree"
local value = require "jinja.value"
local yaml = require "dex.yaml"

local M = {}

local none = value.none

--- The private server's database and role; lua/command/steps.lua connects with what dex.db gives.
M.embedded = { dbname = "dex", user = "dex", schema = "public", threads = 4 }

-- Databases that speak PostgreSQL's protocol.
local types = { postgres = true, postgresql = true, redshift = true, greenplum = true, cockroachdb = true,
  cockroach = true,
  materialize = true, risingwave = true, yugabyte = true, citus = true, timescale = true, alloydb = true }
local type_names = { "embedded", "postgres", "redshift", "greenplum", "materialize", "cockroachdb" }

local function first_existing(dirs)
  for _, dir in ipairs(dirs) do
    local path = dir .. "/profiles.yml"
    if fs.exists(path) then return path, dir end
  end
end

-- Path of profiles.yml, or nil with the places where it was looked for. A folder that was asked for must
-- hold it.
local function locate(package, opts)
  local asked = opts.profiles_dir or env.get("DBT_PROFILES_DIR")
  if asked and asked ~= "" then
    local path = asked .. "/profiles.yml"
    if fs.exists(path) then return path, path end
    err.raise { code = 104, message = ("there is no profiles.yml in '%s'"):format(asked),
      hint = opts.profiles_dir and "the folder is that of --profiles-dir" or "the folder is that of DBT_PROFILES_DIR" }
  end
  local home = env.get("HOME")
  local dirs = { package.dir }
  if home then dirs[2] = home .. "/.dbt" end
  local path, dir = first_existing(dirs)
  if path then return path, dir == package.dir and package.prefix .. "profiles.yml" or path end
  return nil, dirs
end

local function read(path, display)
  local content, lines = yaml.decode(fs.read(path), display)
  if not value.is_dict(content) then
    err.raise { code = 103, message = "profiles.yml must be a mapping of profile names", file = display, line = 1 }
  end
  return content, lines
end

local function embedded(name, target_name, settings, file)
  settings = settings or {}
  local default = M.embedded
  local target = value.dict("host", "", "port", 5432, "user", default.user, "database",
    settings.dbname or default.dbname, "schema", settings.schema or default.schema, "dbname",
    settings.dbname or default.dbname, "type", "postgres", "threads", settings.threads or default.threads,
    "name", target_name, "target_name", target_name, "profile_name", name)
  return { name = name, target_name = target_name, type = "embedded", target = target, params = nil, file = file,
    threads = target.threads, retries = 1, adapter_types = { "postgres" } }
end

-- The settings under one output, without Jinja. A password that is no valid template stays as it is.
local function settings_of(output, lines, display, ctx, root)
  local rendered = value.dict()
  for key, v in pairs(output) do
    local ok, result = pcall(tree.render, v, { context = ctx, file = display, lines = lines }, { root, key })
    if not ok then
      if key ~= "password" and key ~= "pass" then
        if err.is(result) then result.line = lines_of(lines, output, key) or result.line end
        error(result, 0)
      end
      result = v
    end
    rendered[key] = result
  end
  return rendered
end

local function whole_number(settings, key, opts, default)
  local v = value.opt(settings[key])
  if v == nil then return default end
  local number = math.tointeger(tonumber(v))
  if not number or number < 0 then
    err.raise { code = 107, message = ("profile '%s', target '%s': %s must be a whole number, not '%s'"):format(
      opts.name, opts.target, key, tostring(v)), file = opts.file, line = lines_of(opts.lines, opts.output, key) }
  end
  return number
end

local function text(v)
  v = value.opt(v)
  if v == nil then return nil end
  return tostring(v)
end

-- libpq's start-up options for what it has no keyword for.
local function start_options(settings)
  local options = {}
  local function add(name, v)
    if v and v ~= "" then options[#options + 1] = ("-c %s=%s"):format(name, (v:gsub("[\\ ]", "\\%0"))) end
  end
  add("search_path", text(settings.search_path))
  add("role", text(settings.role))
  return #options > 0 and table.concat(options, " ") or nil
end

local required = { { "host" }, { "user" }, { "password", "pass" }, { "port" }, { "dbname", "database" }, { "schema" } }

local function check_required(settings, opts)
  for _, names in ipairs(required) do
    local found = false
    for _, name in ipairs(names) do found = found or value.opt(settings[name]) ~= nil end
    if not found then
      err.raise { code = 107, message = ("profile '%s', target '%s' lacks '%s'"):format(opts.name, opts.target,
        names[1]),
        file = opts.file, line = lines_of(opts.lines, opts.output),
        hint = "host, user, password, port, dbname and schema are required; `type: embedded` needs none of them" }
    end
  end
end

local function server(settings, opts)
  check_required(settings, opts)
  local dbname = text(settings.dbname) or text(settings.database)
  local params = {
    host = text(settings.host), port = text(whole_number(settings, "port", opts)), user = text(settings.user),
    password = text(settings.password) or text(settings.pass), dbname = dbname,
    connect_timeout = text(whole_number(settings, "connect_timeout", opts, 10)),
    application_name = text(settings.application_name) or "dex-lua", options = start_options(settings),
  }
  for _, key in ipairs { "hostaddr", "sslmode", "sslcert", "sslkey", "sslrootcert", "sslpassword" } do
    params[key] = text(settings[key])
  end
  local idle = whole_number(settings, "keepalives_idle", opts, 0)
  if idle > 0 then params.keepalives_idle = text(idle) end
  local kind = tostring(settings.type)
  if kind == "postgresql" then kind = "postgres" end
  local threads = opts.threads or whole_number(settings, "threads", opts, 1)
  local target = value.dict("host", params.host, "port", tonumber(params.port), "user", params.user,
    "database", dbname, "schema", text(settings.schema), "connect_timeout", tonumber(params.connect_timeout),
    "role", value.or_none(text(settings.role)), "search_path", value.or_none(text(settings.search_path)),
    "keepalives_idle", idle, "sslmode", value.or_none(params.sslmode), "sslcert", value.or_none(params.sslcert),
    "sslkey", value.or_none(params.sslkey), "sslrootcert", value.or_none(params.sslrootcert),
    "application_name", params.application_name, "retries", whole_number(settings, "retries", opts, 1),
    "dbname", dbname, "type", kind, "threads", math.max(threads, 1), "name", opts.target, "target_name", opts.target,
    "profile_name", opts.name)
  return { name = opts.name, target_name = opts.target, type = "postgres", target = target, params = params,
    file = opts.file, line = lines_of(opts.lines, opts.output), threads = target.threads, retries = target.retries,
    adapter_types = kind == "postgres" and { "postgres" } or { kind, "postgres" } }
end

-- Which of the outputs: --target, DBT_TARGET, `target:`, or "default".
local function target_name_of(profile, lines, opts)
  local asked = opts.target or env.get("DBT_TARGET")
  if asked and asked ~= "" then return asked end
  local named = profile.target
  if tree.has_jinja(named) then
    named = tree.render(named, { context = opts.context, file = opts.file, lines = lines }, { opts.name, "target" })
  end
  return text(named) or "default"
end

local function output_of(profile, lines, opts)
  local outputs = profile.outputs
  if not value.is_dict(outputs) or #outputs == 0 then
    err.raise { code = 107, message = ("profile '%s' has no outputs"):format(opts.name), file = opts.file,
      line = lines_of(lines, profile) }
  end
  local output = outputs[opts.target]
  if output == nil then
    local names = value.keys(outputs)
    err.raise { code = 106, message = ("profile '%s' has no target '%s': it has %s"):format(opts.name, opts.target,
      table.concat(names, ", ")), file = opts.file, line = lines_of(lines, profile, "outputs"),
      hint = err.did_you_mean(opts.target, names) }
  end
  if not value.is_dict(output) then
    err.raise { code = 107, message = ("target '%s' of profile '%s' must be a mapping"):format(opts.target, opts.name),
      file = opts.file, line = lines_of(lines, outputs, opts.target) }
  end
  return output
end

local function find_profile(content, name, display)
  local profile = content[name]
  if profile == nil or profile == none then
    local names = {}
    for key in pairs(content) do
      if key ~= "config" then names[#names + 1] = tostring(key) end
    end
    err.raise { code = 104, message = ("there is no profile '%s' in %s: it has %s"):format(name, display,
      #names > 0 and table.concat(names, ", ") or "none"), file = display, line = 1,
      hint = err.did_you_mean(name, names) }
  end
  if not value.is_dict(profile) then
    err.raise { code = 107, message = ("profile '%s' must be a mapping with `outputs`"):format(name), file = display }
  end
  return profile
end

-- No profiles.yml anywhere, or a project that names no profile: the private server, unless a certain target
-- was asked for.
local function without_profile(name, opts, why)
  local asked = opts.target or env.get("DBT_TARGET")
  if asked and asked ~= "" and asked ~= "default" then
    err.raise { code = 104, message = ("target '%s' was asked for, but %s"):format(asked, why),
      hint = "without a profile there is only the project's private server, and no --target" }
  end
  local profile = embedded(name or "default", "default", { threads = opts.threads })
  return profile
end

---@class dex.Profile
---@field name string
---@field target_name string
---@field type string
---@field target table dict, `target` of templates
---@field params table|nil libpq's keywords; nil means the private server
---@field threads integer
---@field retries integer
---@field adapter_types string[] what dispatch looks for
---@field file string|nil
---@field line integer|nil of the target
---@field secrets string[]
---@field targets string[]|nil the names of the profile's targets

--- The profile of a project. Reads files and the environment only.
---@param package table the root project, read but not rendered (lua/project/root.lua)
---@param opts table profile, profiles_dir, target, threads, vars
---@param problems dex.Problems
---@return dex.Profile
function M.load(package, opts, problems)
  local secrets = {}
  local ctx = context.profile(opts.vars, secrets)
  local name = opts.profile
  if not name and value.opt(package.raw.profile) then
    name = tostring(tree.render(package.raw.profile, { context = ctx, file = package.file, lines = package.lines },
      { "profile" }))
  end
  local path, display = locate(package, opts)
  local profile, targets
  if not path then
    profile = without_profile(name, opts, "there is no profiles.yml in " .. table.concat(display, " or "))
  elseif not name then
    profile = without_profile(name, opts, ("%s names no profile"):format(package.file))
  else
    local content, lines = read(path, display)
    local found = find_profile(content, name, display)
    targets = value.is_dict(found.outputs) and value.keys(found.outputs) or nil
    local sub = { name = name, file = display, lines = lines, context = ctx, threads = opts.threads }
    sub.target = target_name_of(found, lines, { target = opts.target, context = ctx, file = display, name = name })
    sub.output = output_of(found, lines, sub)
    local settings = settings_of(sub.output, lines, display, ctx, name .. ".outputs." .. sub.target)
    known.check(problems, known.profile, sub.output, { what = "a PostgreSQL profile", file = display, lines = lines,
      slip = true })
    local kind = text(settings.type)
    if kind == "embedded" then
      profile = embedded(name, sub.target, { dbname = text(settings.dbname) or text(settings.database),
        schema = text(settings.schema), threads = opts.threads or whole_number(settings, "threads", sub) }, display)
    elseif kind and types[kind] then
      profile = server(settings, sub)
    else
      err.raise { code = 107, message = kind
        and ("profile '%s', target '%s': dex-lua has no adapter for type '%s'"):format(
        name, sub.target, kind) or ("profile '%s', target '%s' has no type"):format(name, sub.target), file = display,
        line = lines_of(lines, sub.output, "type"), hint = kind and err.did_you_mean(kind, type_names)
          or "types are " .. table.concat(type_names, ", ") }
    end
  end
  profile.secrets = secrets
  profile.targets = targets
  return profile
end

--- Renders one text as profiles.yml would: for package and selector files.
function M.render(source, cli)
  return jinja.render_native(source, context.profile(cli, {}))
end

return M
