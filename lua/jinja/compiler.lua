--- Syntax tree to Lua source, then to a function by load().
-- Each line of the Lua source stands for one place of the template, so that an error is found with its column: the
-- places are kept beside the function (fault.lua). A template becomes
--     return function(ctx) local o1,n1={},0 ... return concat(o1,"",1,n1) end
-- with its output pieces in `o`. Names that the template assigns are Lua locals (a scope with very many becomes
-- a table, because Lua has 200 locals a function); all others are looked up in `ctx` when they are used. A macro is a
-- function of (ctx, caller, kwargs, varargs, its parameters...), so binding it to another context copies nothing.

local scope = require "jinja.scope"
local emit = require "jinja.emit"
local loops = require "jinja.emit_loop"
local functions = require "jinja.emit_macro"
local runtime = require "jinja.runtime"
local fault = require "jinja.fault"
local registry = require "jinja.registry"
local value = require "jinja.value"

local M = {}

local Compiler = {}
Compiler.__index = Compiler
emit.install(Compiler)
loops.install(Compiler)
functions.install(Compiler)

-- A scope with more names than this, or a function with this many locals already, keeps its names in a table.
local MOST_LOCALS = 80
-- Pieces of output that are joined at once: each takes a register of Lua's 250.
local MOST_JOINED = 40

-- The code's own names for what it uses of the runtime are locals: only those that it uses.
local function prologue(used)
  local names, from = {}, {}
  for name in pairs(used) do
    names[#names + 1] = name
  end
  table.sort(names)
  for i, name in ipairs(names) do from[i] = "rt." .. name end
  local helpers = #names > 0 and ("local %s=%s "):format(table.concat(names, ","), table.concat(from, ",")) or ""
  return "local rt,K,U,MAC,FX,XX=... " .. helpers
end

-- Output -----------------------------------------------------------------------------------------

function Compiler:put(text)
  self.n = self.n + 1
  self.out[self.n] = text
end

--- The code put next stands for this byte of the template.
function Compiler:at(pos)
  local map = self.map
  local line = #map
  if map[line] ~= pos then
    map[line + 1] = pos
    local n = self.n + 1
    self.n = n
    self.out[n] = "\n"
  end
end

--- Puts the name of a function of the runtime.
function Compiler:helper(name)
  self.used[name] = true
  local n = self.n + 1
  self.n = n
  self.out[n] = name
end

--- Puts the beginning of a call of the runtime, for a place of the template.
function Compiler:begin(name, pos)
  if pos then self:at(pos) end
  self.used[name] = true
  local n = self.n + 2
  self.n = n
  self.out[n - 1], self.out[n] = name, "("
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
  if not s:find('[%c\\"]') then return '"' .. s .. '"' end
  return (("%q"):format(s):gsub("\\\n", "\\n"):gsub("\r", "\\r"))
end

-- Longer texts are given to the code as they are, which is less work than writing and reading them.
local LONG_TEXT = 30

--- The Lua expression of a piece of the template's text.
function Compiler:text(s)
  if #s > LONG_TEXT then return self:const(s) end
  return M.quote(s)
end

-- Scopes -----------------------------------------------------------------------------------------

local lua_name = emit.lua_name

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
  local names, first = scope.stores(body, self.reads, self.library and self.scope.parent == nil)
  local count = #names
  if count == 0 then return end
  local box
  if count > 0 and (count > MOST_LOCALS or self.fn.locals + count > MOST_LOCALS + 40) then
    box = "b" .. self:id()
    self:put("local " .. box .. "={} ")
    self.fn.locals = self.fn.locals + 1
  end
  for _, name in ipairs(names) do
    self.chunk.names[#self.chunk.names + 1] = name
    if not (skip and skip[name]) then
      local outer = self:lookup(name)
      local initial = outer
      if not initial then
        if first[name] == "load" then self.used.C = true end
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
  self:put("local " .. b.o .. "," .. b.n .. "={},0 ")
  return b
end

function Compiler:pop_buffer()
  self.buffer = self.buffer.parent
end

--- The Lua expression of a buffer's text.
function Compiler:joined(b)
  self.used.concat = true
  return ('concat(%s,"",1,%s)'):format(b.o, b.n)
end

-- Statements -------------------------------------------------------------------------------------

local visit = {}

--- Puts statements; neighbouring pieces of output are joined.
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
  self:put(n .. "=" .. n .. "+1 " .. o .. "[" .. n .. "]=")
  local stop = i
  while stop - i < MOST_JOINED and self:is_output(list[stop + 1]) do stop = stop + 1 end
  self:join(list, i, stop)
  self:put(" ")
  return stop + 1
end

--- Whether a statement only prints.
function Compiler:is_output(node)
  return node and (node.tag == "text" or node.tag == "print" and not self:is_return(node))
end

--- Puts the expression of the text that some statements print.
function Compiler:join(list, first, last)
  if first == last then
    local node = list[first]
    if node.tag == "text" then return self:put(self:text(node.value)) end
    self:at(node.pos)
    return self:string(node.expr)
  end
  -- inside of autoescape each value has a function of its own
  local one_by_one = self.auto
  -- what stands before a call is printed before it: the call may change a list or dict
  local last_call = first
  for i = first, last do
    if list[i].calls then last_call = i end
  end
  for i = first, last do
    local node = list[i]
    if i > first then self:put(one_by_one and ".." or ",") end
    if node.tag == "print" then self:at(node.pos) end
    if i == first and not one_by_one then self:begin("J") end
    if node.tag == "text" then
      self:put(self:text(node.value))
    elseif one_by_one or i < last_call then
      self:string(node.expr)
    else
      self:expr(node.expr)
    end
  end
  if not one_by_one then self:put(")") end
end

--- Puts `return text` for a body that only prints, and gives true; else puts nothing.
function Compiler:returned(body)
  local count = #body
  if count > MOST_JOINED then return false end
  for i = 1, count do
    if not self:is_output(body[i]) then return false end
  end
  -- in parentheses: the function is to be seen by traces
  self:put("return (")
  if count == 0 then self:put('""') else self:join(body, 1, count) end
  self:put(") ")
  return true
end

local function do_return(self, node)
  local call = node.expr
  local f = self.fn
  local plain = #call.args == 1 and not call.names and not call.spread and not call.kwspread
  if plain and f.kind == "macro" then
    -- in parentheses, since a tail call would leave no trace of this macro
    self:put("do return (")
    self:expr(call.args[1])
    self:put(") end ")
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

--- Puts the items of the Lua expression `source`, a sequence of `count`.
function Compiler:unpacked(source, count)
  self:begin(count == 2 and "unpack2" or "unpackn")
  self:put(count == 2 and source .. ") " or source .. "," .. count .. ") ")
end

--- Puts the code that assigns the Lua expression `source` to a target.
function Compiler:assign(target, source)
  if target.tag == "name" then
    self:put(("%s=%s "):format(self:lookup(target.name), source))
    self:exported(target.name)
    return
  elseif target.tag == "nsref" then
    self:begin("NSSET", target.pos)
    self:put(("%s,%s,%s) "):format(self:name_expr(target.name), M.quote(target.attr), source))
    return
  end
  local temps = {}
  for i = 1, #target.items do temps[i] = "t" .. self:id() end
  self:at(target.pos)
  self:put("do local " .. table.concat(temps, ",") .. "=")
  self:unpacked(source, #temps)
  for i, item in ipairs(target.items) do self:assign(item, temps[i]) end
  self:put("end ")
end

--- A name set at the top of a template that has blocks is also put where its blocks look.
function Compiler:exported(name)
  if self.exports and self.scope.parent == nil then
    self:put(("X_[%s]=%s "):format(M.quote(name), self:lookup(name)))
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
  after(self:joined(b))
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
  self:put("do local S,concat,call,callk,callm,catm,F=rt.AE(")
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
  self:begin("LOADER", node.pos)
  self:put(M.quote(node.what) .. ",")
  self:expr(node.exprs[1])
  self:put(") ")
end

visit["block"] = function(self, node)
  local b = self.buffer
  self:put(("%s=%s+1 %s[%s]=rt.BLK(X_,%s) "):format(b.n, b.n, b.o, b.n, M.quote(node.name)))
  self.block_nodes[#self.block_nodes + 1] = node
end

-- Whole templates --------------------------------------------------------------------------------

local function new(tree, opts)
  return setmetatable({
    out = {}, n = 0, ids = 0, used = {}, reads = tree.reads, map = { 1 },
    chunk = { file = tree.file, source = tree.source, first = tree.first, macros = {}, names = {} },
    constants = {}, undefineds = {}, undefined_ids = {}, soft = 0, library = opts.library,
    filters = registry.own.filter, tests = registry.own.test, exports = tree.has_blocks, block_nodes = {},
  }, Compiler)
end

-- Loads what has been put, the code of a function of ctx. Gives the function and the table that it puts macros into.
local function finish(self)
  local constants, chunk = self.constants, self.chunk
  constants[#constants + 1] = chunk
  local code = prologue(self.used) .. table.concat(self.out, "", 1, self.n)
  chunk.map = fault.pack(self.map)
  local loaded, why = load(code, fault.register(chunk), "t", {})
  if not loaded then
    local line = math.tointeger(tonumber(why:match(":(%d+):"))) or 1
    local message = why:gsub("^.-:%d+: ", "")
    if message:find("overflow", 1, true) or message:find("too many", 1, true) or message:find("limit", 1, true) then
      message = ("this template is nested too deeply or too large for one function (%s)"):format(message)
    else
      message = "this cannot be compiled: " .. message
    end
    fault.syntax(chunk, self.map[line] or 1, message)
  end
  local macros = {}
  return loaded(runtime, constants, self.undefineds, macros, self.filters, self.tests), macros
end

-- Compiles a list of statements to a function of ctx. It holds K, and with it what traces need of the template.
local function chunk(self, body)
  self:push_fn("root")
  self:put("return function(ctx) local _=K ")
  if self.exports then self:put("local X_=rt.exports(ctx,K) ") end
  self:push_scope()
  if not self:returned(body) then
    local b = self:push_buffer()
    self:declare(body)
    self:body(body)
    self:put("return " .. self:joined(b))
  end
  self:put(" end")
  self:pop_scope()
  return finish(self)
end

--- Compiles a syntax tree. Gives a function of ctx that renders it; with `opts.library` also the table that a
--- run of it fills with the macros of its top level.
---@param tree table from parser.parse
---@param opts {library: boolean|nil}
function M.compile(tree, opts)
  local self = new(tree, opts)
  local fn, macros = chunk(self, tree.body)
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
  return fn, macros
end

--- Compiles one expression to a function of ctx that gives its value.
function M.expression(node, tree)
  local self = new(tree, {})
  self:push_fn("root")
  self:put("return function(ctx) local _=K return (")
  self:push_scope()
  self:expr(node)
  self:put(") end")
  return (finish(self))
end

return M
