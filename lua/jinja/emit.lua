--- Expressions as Lua source. Everything is an expression in Lua too, so that code keeps the template's order:
-- `a or b` is `(T1(a) or b)` where FL/WF/UF carry false values past Lua's own `and` and `or`.

local value = require "jinja.value"
local registry = require "jinja.registry"
local err = require "err"
local fault = require "jinja.fault"

local M = {}

--- A template's name as part of a name in Lua.
---@param name string
---@return string
function M.lua_name(name)
  return (name:gsub("[^%w_]", function(c) return ("_%02x"):format(c:byte()) end))
end

local none = value.none

local binary = { ["*"] = "mul", ["/"] = "div", ["//"] = "idiv", ["%"] = "mod", ["**"] = "pow" }
local compare = { ["in"] = "has", notin = "has" }
-- attributes of `loop` that are true or false
local loop_tests = { first = true, last = true }
local boolean_tags = { compare = true, ["not"] = true }

local function quote(s) return require("jinja.compiler").quote(s) end

local function is_string(node)
  return node.tag == "const" and type(node.value) == "string" or node.tag == "concat"
end

-- whether a value can never be Lua's false
local function never_false(node)
  local tag = node.tag
  return tag == "const" and node.value ~= false or tag == "list" or tag == "dict" or tag == "tuple" or tag == "concat"
    or tag == "sum" or tag == "binary"
end

local function number_literal(n)
  if math.type(n) == "integer" then
    if n == math.mininteger then return "math.mininteger" end
    return tostring(n)
  end
  if n == math.huge then return "(1/0)" end
  local text = ("%.17g"):format(n)
  if not text:find("[%.eEn]") then text = text .. ".0" end
  return text
end

--- Adds the expression methods to the compiler class.
---@param Compiler table
function M.install(Compiler)
  local visit = {}

  --- Puts an expression that gives exactly one value, never nil.
  function Compiler:expr(node)
    return visit[node.tag](self, node)
  end

  --- Puts an expression that gives the printed text of a node.
  function Compiler:string(node)
    if is_string(node) and not self.auto then return self:expr(node) end
    self:begin("S")
    self:expr(node)
    self:put(")")
  end

  --- Puts an expression that is true or false in Lua as the node is in Python.
  function Compiler:condition_expr(node)
    local tag = node.tag
    if tag == "compare" or tag == "test" then
      return self:expr(node)
    elseif tag == "not" then
      self:put("not (")
      self:condition_expr(node.operand)
      self:put(")")
    elseif tag == "and" or tag == "or" then
      self:put("(")
      for i, item in ipairs(node.items) do
        if i > 1 then self:put(" " .. tag .. " ") end
        self:condition_expr(item)
      end
      self:put(")")
    elseif tag == "const" and type(node.value) == "boolean" then
      self:put(tostring(node.value))
    elseif tag == "attr" and loop_tests[node.name] and self:loop_attribute_of(node) then
      self:expr(node)
    else
      self:begin("T", node.pos)
      self:expr(node)
      self:put(")")
    end
  end

  local function list(self, items)
    for i, item in ipairs(items) do
      if i > 1 then self:put(",") end
      self:expr(item)
    end
  end

  --- The Lua expression of a template name.
  function Compiler:name_expr(name)
    local var = self:lookup(name)
    if var then return var end
    if name == "self" and self.exports then return "X_.self" end
    if name == "return" then
      local macro = self:enclosing_macro()
      if macro then macro.def.catch = true end
      self.used.RET = true
      return "RET"
    end
    if self.library then
      self.used.CM = true
      return ("CM(ctx,%s,MAC)"):format(quote(name))
    end
    self.used.C = true
    return "C(ctx," .. quote(name) .. ")"
  end

  visit["name"] = function(self, node) self:put(self:name_expr(node.name)) end

  visit["const"] = function(self, node)
    local v = node.value
    if type(v) == "string" then
      self:put(quote(v))
    elseif type(v) == "number" then
      if v == math.mininteger then self:put(self:const(v)) else self:put(number_literal(v)) end
    elseif type(v) == "boolean" then
      self:put(tostring(v))
    elseif v == none then
      self:helper("none")
    else
      self:put(self:const(v))
    end
  end

  visit["list"] = function(self, node)
    self:begin("L")
    self:put("{")
    list(self, node.items)
    self:put("})")
  end

  visit["tuple"] = function(self, node)
    self:begin("TU")
    self:put("{")
    list(self, node.items)
    self:put("})")
  end

  visit["dict"] = function(self, node)
    local plain, seen = true, {}
    for _, key in ipairs(node.keys) do
      if key.tag ~= "const" or type(key.value) ~= "string" or seen[key.value] then
        plain = false
        break
      end
      seen[key.value] = true
    end
    if plain then
      self:begin("DS")
      self.used.ORD = true
      self:put("{[ORD]={")
      for i, key in ipairs(node.keys) do self:put((i > 1 and "," or "") .. quote(key.value)) end
      self:put("}")
      for i, key in ipairs(node.keys) do
        self:put(",[" .. quote(key.value) .. "]=")
        self:expr(node.values[i])
      end
      self:put("})")
      return
    end
    self:begin("D", node.pos)
    self:put("{")
    for i, key in ipairs(node.keys) do
      if i > 1 then self:put(",") end
      self:expr(key)
      self:put(",")
      self:expr(node.values[i])
    end
    self:put("})")
  end

  visit["attr"] = function(self, node)
    local fast = self:loop_attribute_of(node)
    if fast then return self:put(fast) end
    -- what fails is the use of the target: of an attribute of something undefined, for one
    self:begin("attr", node.target.pos)
    self:expr(node.target)
    self:put("," .. quote(node.name) .. ")")
  end

  visit["item"] = function(self, node)
    self:begin("item", node.target.pos)
    self:expr(node.target)
    self:put(",")
    self:expr(node.key)
    self:put(")")
  end

  visit["slice"] = function(self, node)
    if not node.target then
      fault.syntax(self.chunk, node.pos, "a slice stands only in '[...]'")
    end
    self:begin("slice", node.pos)
    self:expr(node.target)
    for _, part in ipairs { node.start or false, node.stop or false, node.step or false } do
      self:put(",")
      if part then self:expr(part) else self:helper("none") end
    end
    self:put(")")
  end

  visit["callbody"] = function(self, node)
    self:macro_function(node.node, nil, "caller")
  end

  -- "{args..., values...}" with the shape of the call as a constant, or for spreads as tables
  local function arguments(self, node)
    if node.spread or node.kwspread then
      self:put("," .. self:const(node.names or {}) .. ",{")
      list(self, node.args)
      self:put("},")
      if node.spread then self:expr(node.spread) else self:put("nil") end
      self:put(",{")
      list(self, node.values or {})
      self:put("},")
      if node.kwspread then self:expr(node.kwspread) else self:put("nil") end
      self:put(")")
      return
    end
    if node.names then self:put("," .. self:const { n = #node.args, names = node.names }) end
    for _, group in ipairs { node.args, node.values or {} } do
      for _, arg in ipairs(group) do
        self:put(",")
        self:expr(arg)
      end
    end
    self:put(")")
  end

  local function many(node) return #node.args + #(node.values or {}) > 100 end

  visit["call"] = function(self, node)
    local target = node.target
    local suffix = (node.spread or node.kwspread) and "x" or node.names and "k" or ""
    if many(node) and suffix ~= "x" then
      node = { tag = "call", pos = node.pos, target = target, args = {}, names = node.names, values = node.values,
        spread = { tag = "list", pos = node.pos, items = node.args } }
      suffix = "x"
    end
    if target.tag == "attr" and not self:loop_attribute_of(target) then
      self:begin("callm" .. suffix, target.pos)
      self:expr(target.target)
      self:put("," .. quote(target.name))
    else
      self:begin("call" .. suffix, target.pos)
      self:expr(target)
    end
    arguments(self, node)
  end

  -- Filters and tests share this: the function is known now, so keywords become positions now.
  local function operation(self, node, kind, custom, subject)
    local fn, signature = custom and custom[node.name], nil
    if fn == nil then
      signature = registry.signature(kind, node.name)
    end
    local box = fn ~= nil and (kind == "filter" and "FX" or "XX") or (kind == "filter" and "F" or "X")
    if fn == nil and not signature then
      local message = ("there is no %s named '%s'"):format(kind, node.name)
      local hint = err.did_you_mean(node.name, registry.names(kind))
      if self.soft == 0 then fault.syntax(self.chunk, node.pos, message, hint, "TemplateAssertionError") end
      self:begin("NOFILTER", node.pos)
      self:put(("%s,%s)"):format(quote(message), hint and quote(hint) or "nil"))
      return
    end
    if #box == 1 then self.used[box] = true end
    local place = box .. "[" .. quote(node.name) .. "]"
    self:at(node.pos)
    if signature and not signature.raw and not node.spread and not node.kwspread then
      local positions, why, hint = registry.place(signature, #node.args, node.names)
      if positions then
        self:put("(" .. place .. "(")
        subject()
        local last = 0
        for i in pairs(positions) do if i > last then last = i end end
        for i = 1, last do
          self:put(",")
          local p = positions[i]
          if not p then
            self:put("nil")
          elseif p > 0 then
            self:expr(node.args[p])
          else
            self:expr(node.values[-p])
          end
        end
        self:put("))")
        return
      end
      self:put(("rt.argument_error(%s,%s)"):format(quote(why), hint and quote(hint) or "nil"))
      return
    end
    -- spreads, and filters of a project
    self:put(("rt.call_operation(%s,%s,"):format(quote(kind), fn ~= nil and place or quote(node.name)))
    subject()
    self:put("," .. self:const(node.names or {}) .. ",{")
    list(self, node.args)
    self:put("},")
    if node.spread then self:expr(node.spread) else self:put("nil") end
    self:put(",{")
    list(self, node.values or {})
    self:put("},")
    if node.kwspread then self:expr(node.kwspread) else self:put("nil") end
    self:put(")")
  end

  visit["filter"] = function(self, node)
    operation(self, node, "filter", self.filters, function() self:expr(node.target) end)
  end

  --- Puts a chain of filters around the Lua expression `source` (set blocks and filter blocks).
  function Compiler:filtered(node, source)
    operation(self, node, "filter", self.filters, function()
      if node.target then self:filtered(node.target, source) else self:put(source) end
    end)
  end

  visit["test"] = function(self, node)
    local name = node.name
    if name == "defined" or name == "undefined" then
      if #node.args == 0 and not node.names then
        self:put(name == "defined" and "(rt.X.defined(" or "(rt.X.undefined(")
        self:expr(node.target)
        self:put("))")
        return
      end
    end
    operation(self, node, "test", self.tests, function() self:expr(node.target) end)
  end

  -- a value that is wrapped when it may be false
  local function wrapped(self, node)
    if never_false(node) then return self:expr(node) end
    self:begin("WF")
    self:expr(node)
    self:put(")")
  end

  visit["cond"] = function(self, node)
    if never_false(node.yes) then self:put("(") else self:begin("UF") end
    self:condition_expr(node.test)
    self:put(" and ")
    self.soft = self.soft + 1
    wrapped(self, node.yes)
    self:put(" or ")
    if node.no then
      self:expr(node.no)
    else
      self:put(self:undefined("(the inline if without else)"))
    end
    self.soft = self.soft - 1
    self:put(")")
  end

  visit["or"] = function(self, node)
    self:put("(")
    for i, item in ipairs(node.items) do
      if i < #node.items then
        if boolean_tags[item.tag] then
          self:expr(item)
        else
          self:begin("FL")
          self:expr(item)
          self:put(")")
        end
        self:put(" or ")
      else
        self:expr(item)
      end
    end
    self:put(")")
  end

  visit["and"] = function(self, node)
    self:begin("UF")
    for i, item in ipairs(node.items) do
      if i < #node.items then
        self:put("rt.TF(")
        self:expr(item)
        self:put(") or ")
      else
        self:expr(item)
      end
    end
    self:put(")")
  end

  visit["not"] = function(self, node)
    self:put("(not ")
    self:condition_expr(node.operand)
    self:put(")")
  end

  visit["compare"] = function(self, node)
    if #node.ops == 1 then
      local op = node.ops[1]
      self:put(op.op == "notin" and "(not " or "(")
      self:begin(compare[op.op] or op.op, op.pos)
      self:expr(node.first)
      self:put(",")
      self:expr(op.right)
      self:put("))")
      return
    end
    self:begin("chain", node.ops[1].pos)
    self:expr(node.first)
    for i, op in ipairs(node.ops) do
      self:put("," .. quote(op.op) .. ",")
      if i == 1 then
        self:expr(op.right)
      else
        self:put("function() return ")
        self:expr(op.right)
        self:put(" end")
      end
    end
    self:put(")")
  end

  visit["sum"] = function(self, node)
    local count = #node.items
    if count <= 8 then
      for i = count - 1, 1, -1 do self:begin(node.ops[i] == "+" and "add" or "sub", node.at[i]) end
      self:expr(node.items[1])
      for i = 2, count do
        self:put(",")
        self:expr(node.items[i])
        self:put(")")
      end
      return
    end
    self:begin("sumn", node.at[1])
    self:put(quote(table.concat(node.ops)) .. ",{")
    list(self, node.items)
    self:put("})")
  end

  visit["concat"] = function(self, node)
    local count = #node.items
    if self.auto or count > 60 then
      self:begin(self.auto and "catm" or "cat", node.pos)
      self:put("{")
      list(self, node.items)
      self:put("})")
      return
    end
    self:begin("J", node.pos)
    list(self, node.items)
    self:put(")")
  end

  visit["binary"] = function(self, node)
    self:begin(binary[node.op], node.pos)
    self:expr(node.left)
    self:put(",")
    self:expr(node.right)
    self:put(")")
  end

  visit["neg"] = function(self, node)
    local operand = node.operand
    if operand.tag == "const" and type(operand.value) == "number" and operand.value ~= 0 then
      self:put("(-" .. number_literal(operand.value) .. ")")
      return
    end
    self:begin("neg", node.pos)
    self:expr(operand)
    self:put(")")
  end

  visit["plus"] = function(self, node)
    self:begin("plus", node.pos)
    self:expr(node.operand)
    self:put(")")
  end

end

return M
