--- What compiled templates call: truth, names, attributes, items, calls, macros, loop objects.
--
-- The object protocol. Any Lua table with a metatable, and any userdata, can be used in a template. What a template may
-- do with it is asked of the metatable, first found first taken:
--   x.name        __methods[name] (called with the object first), __getattr(x, name) -> value or nil, else plain
--                 x[name]; a function found by name is called with the template's arguments only, not with x.
--                 Names that begin with "_" are never visible.
--   x[key]        __getitem(x, key) -> value or nil, else for text as x.name, for an integer x[key + 1]
--   for, in, |list   __iter(x) -> a Lua iterator of single values; `in` asks __contains(x, item) first
--   {{ x }}       __str(x), else __tostring(x); inside of a list __repr(x) first
--   x|length      __len; truth: __truth(x), else __len > 0, else true
--   x == y, x < y, x + y ...   Lua's own metamethods
--   x()           __call; keyword arguments come as one last argument made by value.kwargs (value.fn binds them)
--   __pytype      name of the type in messages;  __hash(x) -> text makes equal objects equal dict keys
-- Absent is nil in all of them and becomes an undefined value; null is value.none. A function that returns nothing
-- gives none.

local value = require "jinja.value"
local classes = require "jinja.classes"
local ops = require "jinja.ops"
local iterate = require "jinja.iterate"
local printing = require "jinja.printing"
local registry = require "jinja.registry"
local calls = require "jinja.calls"
local loop_object = require "jinja.loop_object"
local lookup = require "jinja.lookup"
local names = require "jinja.names"
local operations = require "jinja.operations"
local truth = require "jinja.truth"
local fault = require "jinja.fault"

local M = {}

local none, ORDER = value.none, value.ORDER
local Dict, List, Tuple = value.Dict, value.List, value.Tuple
local type, getmetatable, setmetatable, rawget = type, getmetatable, setmetatable, rawget

M.none, M.ORD = none, ORDER
M.S, M.F, M.X = printing.str, registry.filters, registry.tests
M.concat = table.concat
--- Joins what is printed, each argument as S prints it.
M.J = require("dex.text").joiner(printing.str)
M.LP = loop_object.new
M.T = truth.truth

-- what is given on under its own name
for _, part in ipairs {
  { truth, "type_name", "truth", "FL", "TF", "WF", "UF" },
  { names, "undefined_error", "globals", "C", "CM" },
  { lookup, "attr", "item", "slice" },
  { calls, "call", "callk", "callx", "callm", "callmk", "callmx", "call_with", "callable", "catching", "RET", "MK" },
  { operations, "call_operation", "apply" },
  { iterate, "iter", "seq", "items2", "unpack2", "unpackn" },
  { ops, "add", "sub", "mul", "div", "idiv", "mod", "pow", "neg", "plus", "sumn", "eq", "ne", "lt", "le", "gt", "ge",
    "has", "chain" },
} do
  for i = 2, #part do M[part[i]] = part[1][part[i]] end
end

-- Building ---------------------------------------------------------------------------------------

function M.L(t) return setmetatable(t, List) end
function M.TU(t) return setmetatable(t, Tuple) end
function M.DS(t) return setmetatable(t, Dict) end

function M.D(pairs_)
  local d = setmetatable({ [ORDER] = {} }, Dict)
  for i = 1, #pairs_, 2 do classes.dict_set(d, pairs_[i], pairs_[i + 1]) end
  return d
end

--- Joins many printed values.
function M.cat(items)
  for i = 1, #items do items[i] = printing.str(items[i]) end
  return table.concat(items)
end

-- Namespaces -------------------------------------------------------------------------------------

--- Sets an attribute of a namespace.
function M.NSSET(ns, name, v)
  if type(ns) ~= "table" or getmetatable(ns) ~= classes.Namespace then
    return fault.raise("TemplateRuntimeError", "cannot assign attribute on non-namespace object")
  end
  ns.vars[name] = v
end

classes.Namespace.__getattr = function(ns, name) return rawget(ns.vars, name) end
classes.Namespace.__getitem = function(ns, name) return rawget(ns.vars, name) end

-- Errors and blocks ------------------------------------------------------------------------------

function M.LOADER(what, name)
  if name == none then return fault.raise("TemplatesNotFound", "no template to " .. what) end
  return fault.type(("'%s' is not possible: templates have no loader here"):format(what))
end

function M.NOFILTER(message, hint) return fault.raise("TemplateRuntimeError", message, hint) end
M.NOTEST = M.NOFILTER
function M.argument_error(message, hint) return fault.raise("TypeError", message, hint) end

--- A filter block's result must be text.
function M.only_text(x)
  if type(x) == "string" then return x end
  if type(x) == "table" and getmetatable(x) == classes.Markup then return x.text end
  return fault.type(("sequence item 0: expected str instance, %s found"):format(M.type_name(x)))
end

--- A context that also has what the template's top level sets, for its blocks.
function M.exports(ctx, constants)
  local mt = getmetatable(ctx)
  if type(mt) == "table" and mt.is_exports then return ctx end
  return setmetatable({}, { is_exports = true, constants = constants, __index = function(t, name)
    if name == "self" then return M.template_reference(t, constants) end
    return ctx[name]
  end })
end

local Reference = { __pytype = "TemplateReference", __repr = function() return "<TemplateReference None>" end }
Reference.__getattr = function(r, name)
  local block = r.constants and r.constants.blocks and r.constants.blocks[name]
  if block then return function() return block(r.ctx) end end
end
function M.template_reference(ctx, constants) return setmetatable({ ctx = ctx, constants = constants }, Reference) end
M.globals.self = M.template_reference()

function M.BLK(exports, name) return getmetatable(exports).constants.blocks[name](exports) end

-- Autoescape -------------------------------------------------------------------------------------

--- The functions that stand for S, concat, call, callk, callm, catm and F inside of an autoescape tag.
function M.AE(on)
  local html = require "jinja.html"
  if not M.truth(on) then return M.S, M.concat, M.call, M.callk, M.callm, M.cat, M.F end
  return html.escaped_text, html.concat, html.call, html.callk, html.callm, html.join_markup, html.filters
end
M.catm = M.cat

return M
