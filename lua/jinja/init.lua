--- The template engine: Jinja2 with dbt's tags, compiled to Lua.
--   local jinja = require "jinja"
--   local template = jinja.compile(text, { file = "models/a.sql" })
--   local sql = template:render(ctx)
-- Rendering may wait wherever the template calls something that waits (run_query). Errors are error objects
-- (lua/err.lua): 201 syntax, 202 undefined, 203 raised by the template's author, 204 types, 205 values,
-- 206 endless recursion, 207 forbidden, 208 without end or too large.

local parser = require "jinja.parser"
local err = require "err"
local compiler = require "jinja.compiler"
local runtime = require "jinja.runtime"
local registry = require "jinja.registry"
local value = require "jinja.value"
local printing = require "jinja.printing"
local fault = require "jinja.fault"
local limits = require "jinja.limits"
local names = require "jinja.names"
require "jinja.html"
require "jinja.methods_str"
require "jinja.methods_seq"
require "jinja.filters_text"
require "jinja.filters_seq"
require "jinja.filters_number"
require "jinja.tests"
require "jinja.globals"

local M = {}

M.value = value
--- Python's str() and repr() of any value.
M.str, M.repr = printing.str, printing.repr
--- Python's bool() of any value.
M.truth = runtime.truth
--- Names that every template sees unless its context has them.
M.globals = runtime.globals
--- Whether there is a built-in filter or test of a name: `kind` is "filter" or "test".
function M.knows(kind, name) return registry.signature(kind, name) ~= nil end

---@class jinja.Template
---@field file string|nil
---@field source string with "\n" line ends
local Template = {}
Template.__index = Template

-- Runs f(...) so that whatever fails becomes an error object with file, line and stack.
local function guarded(f, ...)
  local before = limits.enter()
  local ok, result = xpcall(f, fault.outermost, ...)
  limits.leave(before)
  if ok then return result end
  if type(result) == "string" then result = limits.explain(f, result) end
  error(result, 0)
end

limits.guard = guarded

--- Calls f(...), such as a macro, from Lua code; errors get file, line and the stack of macros. May wait.
---@param f any callable
M.call = guarded

-- file and line -> source -> template: Lua finds a text by its hash. Emptied when it has grown large.
local cache, cached = {}, 0
local MOST_CACHED = 20000

---@class jinja.Options
---@field file string|nil for messages
---@field line integer|nil of the source's first line in that file
---@field keep boolean|nil false: not to be kept in memory

--- The filters and tests of the project at hand, functions of a value and arguments: every template that is compiled
--- from now on knows them.
---@param filters table<string, function>
---@param tests table<string, function>
function M.extend(filters, tests)
  registry.own.filter, registry.own.test = filters, tests
  cache, cached = {}, 0
end

-- A template without tags is its own text: many models are, and loading a chunk costs most of compiling.
local function plain(body)
  local only = body[1]
  if body[2] or only and only.tag ~= "text" then return nil end
  local text = only and only.value or ""
  return function() return text end
end

-- Everything behind counts on it.
local function check_encoding(source, opts)
  local _, bad = utf8.len(source)
  if not bad then return end
  local _, lines = source:sub(1, bad - 1):gsub("\n", "")
  err.raise { code = 201, kind = "TemplateSyntaxError", file = opts.file, line = (opts.line or 1) + lines,
    message = ("the template is no valid UTF-8: byte 0x%02x cannot stand here"):format(source:byte(bad)),
    hint = "save the file as UTF-8" }
end

local function compile(source, opts)
  check_encoding(source, opts)
  local tree = parser.parse(source, opts)
  -- one `{{ expression }}` and nothing else
  local lone = #tree.body == 1 and tree.body[1].tag == "print"
  return setmetatable({ file = opts.file, source = source, opts = opts, lone = lone,
    fn = plain(tree.body) or compiler.compile(tree, {}) }, Template)
end

--- Compiles a template. The same text of the same file is compiled once per process, unless `keep` is false. Raises
--- what is wrong with it, unknown filters and too deep nesting too.
---@param source string
---@param opts? jinja.Options
---@return jinja.Template
function M.compile(source, opts)
  opts = opts or {}
  if opts.keep == false then return compile(source, opts) end
  local place = opts.file or ""
  if opts.line and opts.line ~= 1 then place = place .. "\0" .. opts.line end
  local known = cache[place]
  local template = known and known[source]
  if template then return template end
  template = compile(source, opts)
  if cached >= MOST_CACHED then cache, cached, known = {}, 0, nil end
  if not known then
    known = {}
    cache[place] = known
  end
  known[source] = template
  cached = cached + 1
  return template
end

--- Renders to text. May wait.
---@param ctx table names to values; a metatable's __index is asked too
---@return string
function Template:render(ctx)
  return guarded(self.fn, ctx)
end

--- The same while a project's files are read: what is behind an undefined value is undefined. May wait.
---@param ctx table
---@return string
function Template:read(ctx)
  local before = names.reading
  names.reading = { thread = coroutine.running(), source = debug.getinfo(self.fn, "S").source }
  local ok, result = pcall(guarded, self.fn, ctx)
  names.reading = before
  if not ok then error(result, 0) end
  return result
end

--- Runs the top level and gives the macros that it defines (tests and materializations under their macros' names). In
--- them other macros are found by name in the context first, so that overriding works. May wait.
---@param ctx table
---@return table<string, table> name -> macro; macro:bind(other_ctx) gives the same macro for another context
function Template:macros(ctx)
  if not self.library then
    self.library, self.library_macros = compiler.compile(parser.parse(self.source, self.opts), { library = true })
  end
  for name in pairs(self.library_macros) do self.library_macros[name] = nil end
  guarded(self.library, ctx)
  local out = {}
  for name, macro in pairs(self.library_macros) do out[name] = macro end
  return out
end

--- Renders a text: compile and render.
---@param text string
---@param ctx table
---@param opts? table as for compile
function M.render(text, ctx, opts)
  if not text:find("{", 1, true) and not text:find("[\r\n]") then return text end
  return M.compile(text, opts):render(ctx)
end

local expressions = setmetatable({}, { __mode = "v" })

--- The value of one expression, of its own type.
---@param source string without "{{ }}"
---@param ctx table
---@param opts? {file: string|nil, line: integer|nil}
function M.eval(source, ctx, opts)
  opts = opts or {}
  local key = ("%s\0%d\0%s"):format(opts.file or "", opts.line or 1, source)
  local fn = expressions[key]
  if not fn then
    local node, tree = parser.expression(source, opts)
    fn = compiler.expression(node, tree)
    expressions[key] = fn
  end
  return guarded(fn, ctx)
end

--- Renders a YAML value. A text that is one `{{ expression }}` and nothing else gives the expression's own value, any
--- other text its rendering; what is no string is given back.
---@param text any
---@param ctx table
---@param opts? table
function M.render_native(text, ctx, opts)
  if type(text) ~= "string" or not text:find("{[{%%#]") then return text end
  local template = M.compile(text, opts)
  if not template.lone then return template:render(ctx) end
  if not template.native then
    local tree = parser.parse(text, template.opts)
    template.native = compiler.expression(tree.body[1].expr, tree)
  end
  return guarded(template.native, ctx)
end

return M
