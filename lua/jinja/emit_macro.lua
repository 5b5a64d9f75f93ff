--- Macros and bodies of calls as Lua source: functions of (ctx, caller, kwargs, varargs, their parameters...).

local emit = require "jinja.emit"
local fault = require "jinja.fault"
local value = require "jinja.value"

local M = {}

--- Adds the methods for functions to the compiler class.
---@param Compiler table
function M.install(Compiler)
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

  --- Puts the function expression of a macro or call body; gives its definition (a constant of the template).
  function Compiler:macro_function(node, name, kind)
    local def = { name = name, params = node.params, n = #node.params, index = {}, chunk = self.chunk,
      arguments = value.tuple(table.move(node.params, 1, #node.params, 1, {})) }
    for i, p in ipairs(node.params) do
      if p == "caller" and not node.defaults[i] then
        fault.syntax(self.chunk, node.pos, "a parameter named 'caller' needs a default", nil, "TemplateAssertionError")
      end
      def.index[p] = i
    end
    for special, read in pairs(node.reads) do
      if read and not def.index[special] then def[special] = true end
    end
    if node.reads.caller then def.catch = true end
    local k = self:const(def)
    self:at(node.pos)
    self:at(node.pos + 1) -- a line of its own, which says whose function it is
    self:begin("MK")
    self:put("ctx," .. k .. ",function(ctx,caller,kwargs,varargs")
    local fn = self:push_fn(kind, { def = def })
    fn.locals = fn.locals + #node.params
    self.chunk.macros[#self.map] = name or "call block"
    local s = self:push_scope()
    local skip = {}
    for _, p in ipairs(node.params) do
      skip[p] = true
      local var = "p_" .. emit.lua_name(p)
      s.vars[p] = var
      self:put("," .. var)
    end
    self:put(") ")
    local outer_buffer = self.buffer
    for _, special in ipairs { "caller", "kwargs", "varargs" } do
      if def[special] then
        skip[special] = true
        s.vars[special] = special
        local initial = special == "caller" and self:undefined("caller")
          or special == "kwargs" and "rt.DS({[rt.ORD]={}})" or "rt.TU({})"
        self:put(("if %s==nil then %s=%s end "):format(special, special, initial))
      end
    end
    for i, p in ipairs(node.params) do
      local var = "p_" .. emit.lua_name(p)
      self:put("if " .. var .. "==nil then " .. var .. "=")
      if node.defaults[i] then self:expr(node.defaults[i]) else self:put(self:undefined(p)) end
      self:put(" end ")
    end
    if not self:returned(node.body) then
      local b = self:push_buffer()
      self:declare(node.body, skip)
      self:body(node.body)
      self:put("return " .. self:joined(b))
    end
    self:put(" end)")
    self.buffer = outer_buffer
    self:pop_scope()
    self:pop_fn()
    return def
  end
end

return M
