--- `dex-lua render --batch`: one template a line in, one answer a line out, as JSON.
-- The context is dbt's for text, with stand-ins for what a project and a database would give.

local value = require "jinja.value"
local jinja = require "jinja"
local builtins = require "jinja.builtins"
local json = require "jinja.json"
local runtime = require "jinja.runtime"
local printing = require "jinja.printing"
local err = require "err"
local fault = require "jinja.fault"

local M = {}

local none = value.none
local fn = value.fn

-- Relations --------------------------------------------------------------------------------------

local Relation = { __name = "dex.batch_relation", __pytype = "Relation" }
Relation.__str = function(r) return ('"%s"."%s"."%s"'):format(r.database, r.schema, r.identifier) end
Relation.__repr = Relation.__str
Relation.__getattr = function(r, name)
  if name == "database" or name == "schema" or name == "identifier" then return r[name] end
  if name == "name" or name == "table" then return r.identifier end
end
Relation.__getitem = function() return nil end
Relation.__eq = function(a, b) return Relation.__str(a) == Relation.__str(b) end
Relation.__hash = Relation.__str

local function relation(schema, name)
  return setmetatable({ database = "db", schema = printing.str(schema), identifier = printing.str(name) }, Relation)
end

local function ref(...)
  local args = { ... }
  local n = select("#", ...)
  if n > 0 and value.is_kwargs(args[n]) then n = n - 1 end
  if n < 1 or n > 2 then return fault.type("ref() takes one or two names") end
  return relation("sch", args[n])
end

-- Names ------------------------------------------------------------------------------------------

local function var_function(vars, ctx)
  return function(...)
    local args = { ... }
    local n = select("#", ...)
    local kw = n > 0 and value.is_kwargs(args[n]) and args[n] or nil
    if kw then n = n - 1 end
    if n > 2 or n < 1 then return fault.type("var() takes a name and a default") end
    local name = args[1]
    local v = vars[name]
    if v == nil then
      local default = args[2]
      if kw then default = kw.default end
      if n < 2 and default == nil then
        return fault.raise("RequiredVarNotFoundError",
          ("Required var '%s' not found in config"):format(printing.str(name)),
          err.did_you_mean(printing.str(name), value.keys(vars)))
      end
      return default
    end
    if type(v) == "string" and v:find("{[{%%#]") then
      return jinja.render(v, ctx, { file = ("var('%s')"):format(name) })
    end
    return v
  end
end

local function env_var_function(env)
  return function(...)
    local args = { ... }
    local n = select("#", ...)
    local kw = n > 0 and value.is_kwargs(args[n]) and args[n] or nil
    if kw then n = n - 1 end
    if n < 1 or n > 2 then return fault.type("env_var() takes a name and a default") end
    local name = args[1]
    if type(name) == "string" and name:find("^DBT_ENV_SECRET") then
      return fault.raise("SecretEnvVarLocationError", "secret environment variables are allowed only in profiles.yml")
    end
    local v = env[name]
    if v ~= nil then return v end
    local default = args[2]
    if kw and kw.default ~= nil then default = kw.default end
    if default == nil or default == none then
      return fault.raise("EnvVarMissingError", ("Env var required but not provided: '%s'"):format(printing.str(name)))
    end
    return default
  end
end

local function raise_compiler_error(...)
  if select("#", ...) < 1 then return fault.type("raise_compiler_error() needs a message") end
  return fault.raise("CompilationError", printing.str((...)))
end

--- The context of one case: dbt's names, hidden by the case's own.
---@param case table decoded request
function M.context(case)
  local ctx = value.dict()
  ctx.ref = ref
  ctx.source = fn("source(source_name, table_name)", function(s, t) return relation(s, t) end)
  ctx.this = relation("sch", "this_model")
  ctx.target = value.dict("name", "dev", "schema", "sch", "database", "db", "type", "postgres", "threads", 4)
  ctx.execute = true
  ctx.config = function() return "" end
  ctx.var = var_function(case.vars or value.dict(), ctx)
  ctx.env_var = env_var_function(case.env or value.dict())
  ctx.log = fn("log(msg, info=false)", function() return "" end)
  ctx.print = fn("print(msg)", function() return "" end)
  ctx.exceptions = value.dict("raise_compiler_error", raise_compiler_error,
    "warn", fn("warn(msg)", function() return "" end))
  for _, name in ipairs { "fromjson", "tojson", "fromyaml", "toyaml", "set", "set_strict", "zip", "zip_strict",
    "local_md5", "diff_of_two_dicts" } do
    ctx[name] = builtins[name]
  end
  ctx.modules = builtins.modules()
  ctx.builtins = value.dict("ref", ref, "source", ctx.source, "config", ctx.config)
  ctx["return"] = runtime.RET
  for name, v in pairs(runtime.globals) do
    if name ~= "self" then ctx[name] = v end
  end
  if case.context then
    for _, k in ipairs(value.keys(case.context)) do ctx[k] = case.context[k] end
  end
  ctx.context = ctx
  return ctx
end

--- Renders one template. Raises what its rendering raises.
---@param source string
---@param opts {file: string, context?: table, vars?: table, env?: table}
---@return string
function M.render(source, opts)
  return jinja.compile(source, { file = opts.file }):render(M.context(opts))
end

--- Renders one request.
---@param line string
---@return string answer
function M.answer(line)
  local case = json.decode(line)
  local ok, result = pcall(function()
    return jinja.compile(case.template, { file = case.id }):render(M.context(case))
  end)
  local answer
  if ok then
    answer = json.encode(value.dict("id", case.id, "output", result))
  else
    local e = err.wrap(result, { kind = "Error" })
    answer = json.encode(value.dict("id", case.id, "error", value.dict("kind", e.kind or "Error",
      "message", tostring(e.message), "line", e.line or none)))
  end
  -- JSON is UTF-8; text that is none shows replacement characters
  if utf8.len(answer) then return answer end
  return (answer:gsub("[\128-\255]+", function(s) return utf8.len(s) and s or "\u{FFFD}" end))
end

--- Answers every line until read_line gives nil.
---@param read_line fun(): string|nil
---@param write_line fun(line: string)
function M.main(read_line, write_line)
  for line in read_line do
    if line:find("%S") then write_line(M.answer(line)) end
  end
end

return M
