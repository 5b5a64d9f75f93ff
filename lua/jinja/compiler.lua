--- Syntax tree to Lua source, then to a function by load().
-- Line N of the Lua source is line N of the template: the source is written in the template's own order and
-- newlines are added before whatever stands further down. A template becomes
--     return function(ctx) local o1,n1={},0 ... return concat(o1,"",1,n1) end
-- with its output pieces in `o`. Names that the template assigns are Lua locals (a scope with very many becomes
-- a table, because Lua has 200 locals a function); all others are looked up in `ctx` when they are used. A macro is a
-- function of (ctx, caller, kwargs, varargs, its parameters...), so binding it to another context copies nothing.

local scope = require "jinja.scope"
local emit = require "jinja.emit"
local loops = require "jinja.emit_loop"
local runtime = require "jinja.runtime"
local fault = require "jinja.fault"
local value = require "jinja.value"

local M = {}

local Compiler = {}
Compiler.__index = Compiler
emit.install(Compiler)
loops.install(Compiler)

-- A scope with more names than this, or a function with this many locals already, keeps its names in a table.
local MOST_LOCALS = 80

local helpers = { "S", "T", "F", "FL", "UF", "WF", "X", "C", "CM", "L", "TU", "D", "DS", "attr", "item", "slice",
  "call", "callk", "callx", "callm", "callmk", "callmx", "add", "sub", "mul", "div", "idiv", "mod", "pow", "neg",
  "plus", "eq", "ne", "lt", "le", "has", "chain", "concat", "cat", "catm", "iter", "seq", "items2", "unpack2",
  "unpackn", "LP", "MK", "RET", "NSSET", "none", "AE", "sumn", "LOADER", "NOFILTER", "NOTEST", "BLK", "ORD" }
local prologue
do
  local from = {}
  for i, name in ipairs(helpers) do from[i] = "rt." .. name end
  prologue = "local rt,K,U,MAC,FX,XX=... local " .. table.concat(helpers, ",") .. "=" .. table.concat(from, ",") .. " "
end

-- Output -----------------------------------------------------------------------------------------

function Compiler:put(text)
  self.n = self.n + 1
  self.out[self.n] = text
end

--- Moves to the template line of a position: the code put next stands there.
function Compiler:at(pos)
  local line = self.positions:line(pos)
  if line > self.line then
    self:put(("\n"):rep(line - self.line))
    self.line = line
  end
end

function Compiler:id()
  self.ids = self.ids + 1
  return self.ids
end

function Compiler:const(x)
  local k = self.constants
  k[#k + 1] = x
  return "K[" .. #k .. "]"
end

function Compiler:undefined(name)
  local known = self.undefined_ids[name]
  if not known then
    known = #self.undefineds + 1
    self.undefineds[known] = value.undefined(name)
    self.undefined_ids[name] = known
  end
  return "U[" .. known .. "]"
end

--- A Lua string literal on one line.
function M.quote(s)
  return (("%q"):format(s):gsub("\\\n", "\\n"):gsub("\r", "\\r"))
end

-- Scopes -----------------------------------------------------------------------------------------

local function lua_name(name)
  return (name:gsub("[^%w_]", function(c) return ("_%02x"):format(c:byte()) end))
end

function Compiler:push_scope()
  local s = { vars = {}, parent = self.scope, fn = self.fn, locals_before = self.fn.locals, soft_before = self.soft }
  self.scope = s
  self.soft = 0
  return s
end

function Compiler:pop_scope()
  self.fn.locals = self.scope.locals_before
  self.soft = self.scope.soft_before
  self.scope = self.scope.parent
end

function Compiler:lookup(name)
  local s = self.scope
  while s do
    local found = s.vars[name]
    if found then return found end
    s = s.parent
  end
end

--- A new local of the current scope for a template name; `declare` it in the code yourself.
function Compiler:bind(name)
  self.fn.locals = self.fn.locals + 1
  local var = ("v%d_%s"):format(self:id(), lua_name(name))
  self.scope.vars[name] = var
  return var
end

--- Declares the names that statements of this scope assign, each with the value it has outside.
function Compiler:declare(body, skip)
  local names, first = scope.stores(body, self.library and self.scope.parent == nil)
  local count = #names
  local box
  if count > 0 and (count > MOST_LOCALS or self.fn.locals + count > MOST_LOCALS + 40) then
    box = "b" .. self:id()
    self:put("local " .. box .. "={} ")
    self.fn.locals = self.fn.locals + 1
  end
  for _, name in ipairs(names) do
    if not (skip and skip[name]) then
      local outer = self:lookup(name)
      local initial = outer
      if not initial then
        initial = first[name] == "load" and ("C(ctx,%s)"):format(M.quote(name)) or self:undefined(name)
      end
      local var
      if box then
        var = box .. "." .. "v_" .. lua_name(name)
        self.scope.vars[name] = var
        self:put(var .. "=" .. initial .. " ")
      else
        var = self:bind(name)
        self:put("local " .. var .. "=" .. initial .. " ")
      end
    end
  end
end

-- Buffers ----------------------------------------------------------------------------------------

function Compiler:push_buffer()
  local id = self:id()
  local b = { o = "o" .. id, n = "n" .. id, parent = self.buffer }
  self.fn.locals = self.fn.locals + 2
  self.buffer = b
  self:put(("local %s,%s={},0 "):format(b.o, b.n))
  return b
end

function Compiler:pop_buffer()
  self.buffer = self.buffer.parent
end

--- The Lua expression of a buffer's text.
function Compiler.joined(b)
  return ('concat(%s,"",1,%s)'):format(b.o, b.n)
end

-- Functions --------------------------------------------------------------------------------------

function Compiler:push_fn(kind, fields)
  local f = fields or {}
  f.kind, f.parent, f.locals = kind, self.fn, 8
  self.fn = f
  return f
end

function Compiler:pop_fn() self.fn = self.fn.parent end

--- The macro (not call body) that the code being written belongs to, nil at the top.
function Compiler:enclosing_macro()
  local f = self.fn
  while f do
    if f.kind == "macro" then return f end
    if f.kind == "caller" then return nil end
    f = f.parent
  end
end

local function special_names(node)
  return scope.mentions(node.body, node.defaults, { caller = true, kwargs = true, varargs = true })
end

--- Puts the function expression of a macro or call body; gives its definition (a constant of the template).
function Compiler:macro_function(node, name, kind)
  local used = special_names(node)
  local def = { name = name, params = node.params, n = #node.params, index = {}, file = self.file,
    line = self.positions:line(node.pos), kind = node.kind,
    arguments = value.tuple(table.move(node.params, 1, #node.params, 1, {})) }
  for i, p in ipairs(node.params) do
    if p == "caller" and not node.defaults[i] then
      local line, column = self.positions:at(node.pos)
      fault.syntax(self.file, line, column, "a parameter named 'caller' needs a default", nil, "TemplateAssertionError")
    end
    def.index[p] = i
  end
  for special in pairs(used) do
    if not def.index[special] then def[special] = true end
  end
  if used.caller then def.catch = true end
  local k = self:const(def)
  self:put("MK(ctx," .. k .. ",function(ctx,caller,kwargs,varargs")
  local fn = self:push_fn(kind, { def = def })
  fn.locals = fn.locals + #node.params
  self.macro_lines[self.line] = name or "caller"
  local s = self:push_scope()
  local skip = {}
  for _, p in ipairs(node.params) do
    skip[p] = true
    local var = "p_" .. lua_name(p)
    s.vars[p] = var
    self:put("," .. var)
  end
  self:put(") ")
  local outer_buffer = self.buffer
  local b = self:push_buffer()
  for _, special in ipairs { "caller", "kwargs", "varargs" } do
    if def[special] then
      skip[special] = true
      s.vars[special] = special
      local initial = special == "caller" and self:undefined("caller")
        or special == "kwargs" and "DS({[ORD]={}})" or "TU({})"
      self:put(("if %s==nil then %s=%s end "):format(special, special, initial))
    end
  end
  for i, p in ipairs(node.params) do
    local var = "p_" .. lua_name(p)
    self:put(("if %s==nil then %s="):format(var, var))
    if node.defaults[i] then self:expr(node.defaults[i]) else self:put(self:undefined(p)) end
    self:put(" end ")
  end
  self:declare(node.body, skip)
  self:body(node.body)
  self:put("return " .. self.joined(b) .. " end)")
  self.buffer = outer_buffer
  self:pop_scope()
  self:pop_fn()
  return def
end

-- Statements -------------------------------------------------------------------------------------

local visit = {}

--- Puts statements; neighbouring pieces of output are stored together.
function Compiler:body(list)
  local i, count = 1, #list
  while i <= count do
    local node = list[i]
    if (node.tag == "text" or node.tag == "print") and not self:is_return(node) then
      i = self:output(list, i)
    else
      self:at(node.pos)
      visit[node.tag](self, node)
      i = i + 1
    end
  end
end

--- Whether a statement is `return(x)` as a whole.
function Compiler:is_return(node)
  local expr = (node.tag == "print" or node.tag == "do") and node.expr
  return expr and expr.tag == "call" and expr.target.tag == "name" and expr.target.name == "return"
    and not self:lookup("return")
end

function Compiler:output(list, i)
  local o, n = self.buffer.o, self.buffer.n
  local k = 0
  while list[i] and k < 40 do
    local node = list[i]
    if node.tag == "text" then
      k = k + 1
      self:put(("%s[%s+%d]=%s "):format(o, n, k, M.quote(node.value)))
    elseif node.tag == "print" and not self:is_return(node) then
      k = k + 1
      self:at(node.pos)
      self:put(("%s[%s+%d]="):format(o, n, k))
      self:string(node.expr)
      self:put(" ")
    else
      break
    end
    i = i + 1
  end
  self:put(("%s=%s+%d "):format(n, n, k))
  return i
end

local function do_return(self, node)
  local call = node.expr
  local f = self.fn
  local plain = #call.args == 1 and not call.names and not call.spread and not call.kwspread
  if plain and f.kind == "macro" then
    self:put("do return ")
    self:expr(call.args[1])
    self:put(" end ")
    return
  end
  self:put("local _=")
  self:expr(call)
  self:put(" ")
end

visit["print"] = do_return

visit["do"] = function(self, node)
  if self:is_return(node) then return do_return(self, node) end
  self:put("do local _=")
  self:expr(node.expr)
  self:put(" end ")
end

visit["group"] = function(self, node) self:body(node.body) end

visit["if"] = function(self, node)
  for i, branch in ipairs(node.branches) do
    self:put(i == 1 and "if " or "elseif ")
    self:condition_expr(branch.test)
    self:put(" then ")
    self.soft = self.soft + 1
    self:body(branch.body)
    self.soft = self.soft - 1
  end
  if node.otherwise then
    self:put("else ")
    self.soft = self.soft + 1
    self:body(node.otherwise)
    self.soft = self.soft - 1
  end
  self:put("end ")
end

--- Puts the code that assigns the Lua expression `source` to a target.
function Compiler:assign(target, source)
  if target.tag == "name" then
    self:put(("%s=%s "):format(self:lookup(target.name), source))
    self:exported(target.name)
    return
  elseif target.tag == "nsref" then
    self:put(("NSSET(%s,%s,%s) "):format(self:name_expr(target.name), M.quote(target.attr), source))
    return
  end
  local temps = {}
  for i = 1, #target.items do temps[i] = "t" .. self:id() end
  self:put("do local " .. table.concat(temps, ",") .. "=")
  self:put(#temps == 2 and ("unpack2(%s) "):format(source) or ("unpackn(%s,%d) "):format(source, #temps))
  for i, item in ipairs(target.items) do self:assign(item, temps[i]) end
  self:put("end ")
end

--- A name set at the top of a template that has blocks is also put where its blocks look.
function Compiler:exported(name)
  if self.exports and self.scope.parent == nil then
    self:put(("X_.%s=%s "):format("[" .. M.quote(name) .. "]", self:lookup(name)):gsub("%.%[", "["))
  end
end

visit["set"] = function(self, node)
  local target = node.target
  if target.tag == "name" then
    self:put(self:lookup(target.name) .. "=")
    self:expr(node.expr)
    self:put(" ")
    self:exported(target.name)
  else
    local temp = "t" .. self:id()
    self:put("do local " .. temp .. "=")
    self:expr(node.expr)
    self:put(" ")
    self:assign(target, temp)
    self:put("end ")
  end
end

-- A body with a buffer of its own; `after` puts the code that takes the joined text.
function Compiler:captured(body, after)
  self:put("do ")
  self:push_scope()
  local b = self:push_buffer()
  self:declare(body)
  self:body(body)
  self:pop_buffer()
  local scope_before = self.scope
  self.scope = scope_before.parent
  after(self.joined(b))
  self.scope = scope_before
  self:pop_scope()
  self:put("end ")
end

visit["setblock"] = function(self, node)
  self:captured(node.body, function(text)
    local temp = "t" .. self:id()
    self:put("local " .. temp .. "=")
    if node.filter then self:filtered(node.filter, text) else self:put(text) end
    self:put(" ")
    self:assign(node.target, temp)
  end)
end

visit["filterblock"] = function(self, node)
  self:captured(node.body, function(text)
    local b = self.buffer
    self:put(("%s=%s+1 %s[%s]=rt.only_text("):format(b.n, b.n, b.o, b.n))
    self:filtered(node.filter, text)
    self:put(") ")
  end)
end

visit["macro"] = function(self, node)
  local top = self.scope.parent == nil
  if top and self.library then
    self:put(("MAC[%s]="):format(M.quote(node.name)))
    self:macro_function(node, node.name, "macro")
    self:put(" ")
    return
  end
  self:put(self:lookup(node.name) .. "=")
  self:macro_function(node, node.name, "macro")
  self:put(" ")
  self:exported(node.name)
end

visit["callblock"] = function(self, node)
  local b = self.buffer
  self:put(("%s[%s+1]="):format(b.o, b.n))
  local call = node.call
  local names = table.move(call.names or {}, 1, #(call.names or {}), 1, {})
  local values = table.move(call.values or {}, 1, #(call.values or {}), 1, {})
  names[#names + 1] = "caller"
  values[#values + 1] = { tag = "callbody", node = node, pos = node.pos }
  self:string { tag = "call", pos = call.pos, target = call.target, args = call.args, spread = call.spread,
    kwspread = call.kwspread, names = names, values = values }
  self:put((" %s=%s+1 "):format(b.n, b.n))
end

visit["with"] = function(self, node)
  self:put("do ")
  local temps = {}
  for i, expr in ipairs(node.values) do
    temps[i] = "t" .. self:id()
    self:put("local " .. temps[i] .. "=")
    self:expr(expr)
    self:put(" ")
  end
  self:push_scope()
  self.fn.locals = self.fn.locals + #temps
  local bound = {}
  local function declare_target(target)
    if target.tag == "name" then
      if not bound[target.name] then self:put("local " .. self:bind(target.name) .. " ") end
      bound[target.name] = true
    else
      for _, item in ipairs(target.items) do declare_target(item) end
    end
  end
  for i, target in ipairs(node.targets) do
    declare_target(target)
    self:assign(target, temps[i])
  end
  self:declare(node.body, bound)
  self:body(node.body)
  self:pop_scope()
  self:put("end ")
end

visit["autoescape"] = function(self, node)
  self:put("do local S,concat,call,callk,callm,catm,F=AE(")
  self:expr(node.expr)
  self:put(") ")
  self:push_scope()
  self.fn.locals = self.fn.locals + 7
  self:declare(node.body)
  local outer = self.auto
  self.auto = true
  self:body(node.body)
  self.auto = outer
  self:pop_scope()
  self:put("end ")
end

visit["for"] = function(self, node) self:for_loop(node) end
visit["break"] = function(self) self:put("do break end ") end
visit["continue"] = function(self) self:put("goto c" .. self.continue_label .. " ") end

visit["loader"] = function(self, node)
  self:put(("LOADER(%s,"):format(M.quote(node.what)))
  self:expr(node.exprs[1])
  self:put(") ")
end

visit["block"] = function(self, node)
  local b = self.buffer
  self:put(("%s=%s+1 %s[%s]=BLK(X_,%s) "):format(b.n, b.n, b.o, b.n, M.quote(node.name)))
  self.block_nodes[#self.block_nodes + 1] = node
end

-- Whole templates --------------------------------------------------------------------------------

local function new(tree, opts)
  return setmetatable({
    out = {}, n = 0, line = 1, ids = 0, positions = tree.lex.positions, file = opts.file or "<template>",
    constants = {}, undefineds = {}, undefined_ids = {}, macro_lines = {}, soft = 0, library = opts.library,
    filters = opts.filters, tests = opts.tests, exports = tree.has_blocks, block_nodes = {},
  }, Compiler)
end

local function load_error(self, why)
  local line = math.tointeger(tonumber(why:match(":(%d+):"))) or 1
  local message = why:gsub("^.-:%d+: ", "")
  if message:find("overflow", 1, true) or message:find("too many", 1, true) or message:find("limit", 1, true) then
    fault.syntax(self.file, line, 1,
      ("this template is nested too deeply or too large for one function (%s)"):format(message))
  end
  fault.syntax(self.file, line, 1, "this cannot be compiled: " .. message)
end

-- Compiles a list of statements to a function of ctx.
local function chunk(self, body)
  self:push_fn("root")
  self:put(prologue)
  self:put("return function(ctx) ")
  if self.exports then self:put("local X_=rt.exports(ctx,K) ") end
  self:push_scope()
  local b = self:push_buffer()
  self:declare(body)
  self:body(body)
  self:put("return " .. self.joined(b) .. " end")
  self:pop_scope()
  local code = table.concat(self.out, "", 1, self.n)
  fault.register("@" .. self.file, self.macro_lines)
  local loaded, why = load(code, "@" .. self.file, "t", {})
  if not loaded then load_error(self, why) end
  local macros = {}
  return loaded(runtime, self.constants, self.undefineds, macros, self.filters, self.tests), macros, code
end

--- Compiles a syntax tree. Gives a function of ctx that renders it; with `opts.library` also the table that a
--- run of it fills with the macros of its top level.
---@param tree table from parser.parse
---@param opts table file, library, filters, tests
function M.compile(tree, opts)
  local self = new(tree, opts)
  local fn, macros, code = chunk(self, tree.body)
  if tree.has_blocks then
    local blocks = {}
    self.constants.blocks = blocks
    local pending, done = self.block_nodes, 1
    while pending[done] do
      local node = pending[done]
      local inner = new(tree, opts)
      inner.block_nodes, inner.constants = pending, self.constants
      blocks[node.name] = chunk(inner, node.body)
      done = done + 1
    end
  end
  return fn, macros, code
end

--- Compiles one expression to a function of ctx that gives its value.
function M.expression(node, tree, opts)
  local self = new(tree, opts)
  self:push_fn("root")
  self:put(prologue .. "return function(ctx) return ")
  self:push_scope()
  self:expr(node)
  self:put(" end")
  local code = table.concat(self.out, "", 1, self.n)
  fault.register("@" .. self.file, self.macro_lines)
  local loaded, why = load(code, "@" .. self.file, "t", {})
  if not loaded then load_error(self, why) end
  return loaded(runtime, self.constants, self.undefineds, {}, self.filters, self.tests)
end

return M
