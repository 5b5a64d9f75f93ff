--- The template engine: Jinja2 with dbt's tags, compiled to Lua.
--   local jinja = require "jinja"
--   local template = jinja.compile(text, { file = "models/a.sql" })
--   local sql = template:render(ctx)
-- Rendering may wait wherever the template calls something that waits (run_query). Errors are error objects
-- (lua/err.lua): 201 syntax, 202 undefined, 203 raised by the template's author, 204 types, 205 values,
-- 206 endless recursion, 207 forbidden.

local parser = require "jinja.parser"
local compiler = require "jinja.compiler"
local runtime = require "jinja.runtime"
local registry = require "jinja.registry"
local value = require "jinja.value"
local printing = require "jinja.printing"
local fault = require "jinja.fault"
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
--- Defines a filter or test for all templates: M.filter("name(a, b?)", function(subject, a, b) ... end).
M.filter, M.test = registry.filter, registry.test

---@class jinja.Block
---@field kind string "macro", "test", "materialization", "docs" or "snapshot"
---@field name string as written: a test's macro is "test_" .. name
---@field args string[]|nil parameters
---@field line integer first line of the block
---@field last_line integer
---@field body string text between its tags
---@field body_line integer line on which the body begins
---@field from integer byte where the block begins in `template.source`
---@field to integer byte where its body ends
---@field macro string|nil name of the macro that it defines
---@field adapter string|nil of a materialization
---@field supported_languages string[]|nil of a materialization

---@class jinja.Template
---@field file string|nil
---@field source string
---@field blocks jinja.Block[]
---@field calls table|nil literal calls, see static.lua
local Template = {}
Template.__index = Template

-- Runs f(...) so that whatever fails becomes an error object with file, line and stack.
local function guarded(f, ...)
  local ok, result = xpcall(f, fault.handler, ...)
  if ok then return result end
  if type(result) == "table" and result.is_return then
    fault.raise("CompilationError", "return() outside of a macro")
  end
  error(result, 0)
end

--- Calls f(...), such as a macro, from Lua code; errors get file, line and the stack of macros. May wait.
---@param f any callable
M.call = guarded

local function block_list(tree)
  local out = {}
  for i, b in ipairs(tree.blocks) do
    local positions = tree.lex.positions
    out[i] = { kind = b.kind, name = b.name, args = b.args, adapter = b.adapter,
      supported_languages = b.supported_languages, macro = b.node and b.node.name,
      line = positions:line(b.pos), from = b.pos, to = b.body_to,
      body = tree.source:sub(b.body_from, b.body_to), body_line = positions:line(b.body_from),
      last_line = positions:line(math.max(b.body_from, b.body_to)) }
  end
  return out
end

-- file .. line .. source -> template; emptied when it has grown large
local cache, cached = {}, 0
local MOST_CACHED = 20000

---@class jinja.Options
---@field file string|nil for messages
---@field line integer|nil of the source's first line in that file
---@field snapshots boolean|nil whether snapshot blocks are allowed
---@field filters table|nil a project's own, by name
---@field tests table|nil
---@field keep boolean|nil false: not to be kept in memory

--- Compiles a template. The same text of the same file is compiled once per process, unless `keep` is false.
---@param source string
---@param opts? jinja.Options
---@return jinja.Template
function M.compile(source, opts)
  opts = opts or {}
  local key = ("%s\0%d\0%s"):format(opts.file or "", opts.line or 1, source)
  local special = opts.filters or opts.tests or opts.snapshots or opts.keep == false
  if not special and cache[key] then return cache[key] end
  local tree = parser.parse(source, opts)
  local template = setmetatable({ file = opts.file, source = tree.source, opts = opts, tree = tree,
    blocks = block_list(tree) }, Template)
  template.calls = require("jinja.static").calls(tree)
  -- errors of the compiler (unknown filters, too deep nesting) belong to compile(), and nothing that failed is kept
  template:prepare()
  if not special then
    if cached >= MOST_CACHED then cache, cached = {}, 0 end
    cache[key] = template
    cached = cached + 1
  end
  return template
end

function Template:prepare()
  if not self.fn then
    self.fn, self.macro_table, self.code = compiler.compile(self.tree, { file = self.opts.file,
      filters = self.opts.filters, tests = self.opts.tests })
  end
  return self.fn
end

--- Renders to text. May wait.
---@param ctx table names to values; a metatable's __index is asked too
---@return string
function Template:render(ctx)
  return guarded(self.fn, ctx)
end

--- Runs the top level and gives the macros that it defines (tests and materializations under their macros' names). In
--- them other macros are found by name in the context first, so that overriding works. May wait.
---@param ctx table
---@return table<string, table> name -> macro; macro:bind(other_ctx) gives the same macro for another context
function Template:macros(ctx)
  if not self.library then
    self.library, self.library_macros = compiler.compile(self.tree, { file = self.opts.file, library = true,
      filters = self.opts.filters, tests = self.opts.tests })
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
    fn = compiler.expression(node, tree, opts)
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
  local body = template.tree.body
  if #body == 1 and body[1].tag == "print" then
    if not template.native then
      template.native = compiler.expression(body[1].expr, template.tree, { file = template.opts.file })
    end
    return guarded(template.native, ctx)
  end
  return template:render(ctx)
end

return M
