--- Expressions: tokens to syntax tree, with Jinja2's own order of precedence.
-- A node is a table `{ tag, ..., pos = byte position }`; the tags and their fields are listed in parser.lua.

local value = require "jinja.value"

local none = value.none

local M = {}

-- Deeper nesting than this cannot be compiled by Lua (200 levels of C calls).
local DEEPEST = 90

local compare_ops = { ["=="] = "eq", ["!="] = "ne", ["<"] = "lt", ["<="] = "le", [">"] = "gt", [">="] = "ge" }
local constants = { ["true"] = true, True = true, ["false"] = false, False = false, none = none, None = none }
-- no operator follows before these
local ends = { [","] = true, [")"] = true, ["]"] = true, ["}"] = true, [":"] = true, ["}}"] = true, ["%}"] = true }
local reserved = { ["true"] = true, True = true, ["false"] = true, False = true, none = true, None = true }

M.reserved = reserved

--- Adds the expression methods to the parser class.
---@param Parser table
function M.install(Parser)
  local function node(tag, pos, fields)
    fields.tag, fields.pos = tag, pos
    return fields
  end

  -- A name that is read: noted for scope.lua.
  local function name_node(self, name, pos)
    local reads, mentions = self.reads, self.mentions
    reads[#reads + 1] = name
    if mentions[name] then mentions[name] = mentions[name] + 1 end
    return { tag = "name", pos = pos, name = name }
  end

  -- The operators' functions call each other from the weakest to the strongest. `left`, if given, is the operand that
  -- has been parsed before anybody knew whether an operator follows, and `pos` is where it begins.

  function Parser:expression(no_condition)
    local depth = self.depth + 1
    self.depth = depth
    if depth > DEEPEST then self:fail("this expression is nested too deeply (more than " .. DEEPEST .. " levels)") end
    local tokens, i = self.tokens, self.i
    local pos, left = tokens[i - 1]
    if tokens[i + 1] ~= "not" or tokens[i] ~= "name" then
      left = self:unary(true)
      if not ends[tokens[self.i]] then
        left = no_condition and self:parse_or(left, pos) or not no_condition and self:condition(left, pos)
      end
    else
      left = no_condition and self:parse_or(nil, pos) or not no_condition and self:condition(nil, pos)
    end
    self.depth = depth - 1
    return left
  end

  function Parser:condition(left, pos)
    local first = self:parse_or(left, pos)
    while self:skip_name("if") do
      local test = self:parse_or()
      local other
      if self:skip_name("else") then other = self:expression() end
      first = node("cond", pos, { test = test, yes = first, no = other })
    end
    return first
  end

  local function chain(self, tag, word, sub, left, pos)
    pos = pos or self:pos()
    left = sub(self, left, pos)
    if not self:at_name(word) then return left end
    local items = { left }
    while self:skip_name(word) do items[#items + 1] = sub(self) end
    return node(tag, pos, { items = items })
  end

  function Parser:parse_or(left, pos) return chain(self, "or", "or", self.parse_and, left, pos) end
  function Parser:parse_and(left, pos) return chain(self, "and", "and", self.parse_not, left, pos) end

  function Parser:parse_not(left, pos)
    pos = pos or self:pos()
    if not left and self:skip_name("not") then
      self.depth = self.depth + 1
      if self.depth > DEEPEST then self:fail("this expression is nested too deeply") end
      local operand = self:parse_not()
      self.depth = self.depth - 1
      return node("not", pos, { operand = operand })
    end
    return self:compare(left, pos)
  end

  function Parser:compare(left, pos)
    local first = self:math1(left, pos)
    local ops
    while true do
      local op
      local at = self:pos()
      local kind = self:kind()
      if compare_ops[kind] then
        self:advance()
        op = compare_ops[kind]
      elseif self:skip_name("in") then
        op = "in"
      elseif self:at_name("not") and self:at_name("in", 1) then
        self:advance()
        self:advance()
        op = "notin"
      else
        break
      end
      ops = ops or {}
      ops[#ops + 1] = { op = op, pos = at, right = self:math1() }
    end
    if not ops then return first end
    return node("compare", pos or first.pos, { first = first, ops = ops })
  end

  function Parser:math1(left, pos)
    left = self:concat(left, pos)
    local kind = self:kind()
    if kind ~= "+" and kind ~= "-" then return left end
    local sum = node("sum", pos or left.pos, { items = { left }, ops = {}, at = {} })
    repeat
      sum.ops[#sum.ops + 1], sum.at[#sum.at + 1] = kind, self:pos()
      self:advance()
      sum.items[#sum.items + 1] = self:concat()
      kind = self:kind()
    until kind ~= "+" and kind ~= "-"
    return sum
  end

  function Parser:concat(left, pos)
    left = self:math2(left)
    if self:kind() ~= "~" then return left end
    local items = { left }
    while self:skip("~") do items[#items + 1] = self:math2() end
    return node("concat", pos or left.pos, { items = items })
  end

  function Parser:math2(left)
    left = self:pow(left)
    while true do
      local kind, pos = self:kind(), self:pos()
      if kind ~= "*" and kind ~= "/" and kind ~= "//" and kind ~= "%" then return left end
      self:advance()
      left = node("binary", pos, { op = kind, left = left, right = self:pow() })
    end
  end

  function Parser:pow(left)
    left = left or self:unary(true)
    while true do
      local pos = self:pos()
      if not self:skip("**") then return left end
      left = node("binary", pos, { op = "**", left = left, right = self:unary(true) })
    end
  end

  function Parser:unary(with_filter)
    local tokens, i = self.tokens, self.i
    local pos, kind = tokens[i - 1], tokens[i]
    local result
    if kind == "-" or kind == "+" then
      self:advance()
      self.depth = self.depth + 1
      if self.depth > DEEPEST then self:fail("this expression is nested too deeply") end
      result = node(kind == "-" and "neg" or "plus", pos, { operand = self:unary(false) })
      self.depth = self.depth - 1
    else
      result = self:primary()
    end
    if ends[tokens[self.i]] then return result end
    result = self:postfix(result)
    if with_filter and not ends[tokens[self.i]] then result = self:filters(result) end
    return result
  end

  local in_parens = { parens = true }

  local function number(self, text)
    local digits = text:gsub("_", "")
    local base, rest = digits:match("^0([bBoOxX])(.+)$")
    if base then
      base = base:lower()
      return require("jinja.bigint").parse(rest, base == "b" and 2 or base == "o" and 8 or 16)
    end
    if self:kind() == "integer" then return require("jinja.bigint").parse(digits, 10) end
    return tonumber(digits) - 0.0
  end

  function Parser:primary()
    local tokens, i = self.tokens, self.i
    local pos, kind, text = tokens[i - 1], tokens[i], tokens[i + 1]
    if kind == "name" then
      self.i = i + 3
      local constant = constants[text]
      if constant ~= nil then return { tag = "const", pos = pos, value = constant } end
      return name_node(self, text, pos)
    elseif kind == "string" then
      self.i = i + 3
      if tokens[i + 3] == "string" then
        local parts = { text }
        while self:kind() == "string" do
          parts[#parts + 1] = self:text()
          self:advance()
        end
        text = table.concat(parts)
      end
      return { tag = "const", pos = pos, value = text }
    elseif kind == "integer" or kind == "float" then
      local n = number(self, text)
      self:advance()
      return node("const", pos, { value = n })
    elseif kind == "(" then
      self:advance()
      local inner = self:tuple(in_parens)
      self:expect(")")
      return inner
    elseif kind == "[" then
      return self:list()
    elseif kind == "{" then
      return self:dict()
    end
    return self:unexpected("an expression")
  end

  function Parser:list()
    local tokens, pos = self.tokens, self:pos()
    self:expect("[")
    local items = {}
    while tokens[self.i] ~= "]" do
      if #items > 0 then self:expect(",") end
      if tokens[self.i] == "]" then break end
      items[#items + 1] = self:expression()
    end
    self:expect("]")
    return node("list", pos, { items = items })
  end

  function Parser:dict()
    local tokens, pos = self.tokens, self:pos()
    self:expect("{")
    local keys, values = {}, {}
    while tokens[self.i] ~= "}" do
      if #keys > 0 then self:expect(",") end
      if tokens[self.i] == "}" then break end
      keys[#keys + 1] = self:expression()
      self:expect(":")
      values[#values + 1] = self:expression()
    end
    self:expect("}")
    return node("dict", pos, { keys = keys, values = values })
  end

  --- A tuple or a single expression. Options: `parens` (an empty one is allowed), `simple` (only plain names and
  --- primaries, for assignment targets), `no_condition` (no inline if).
  function Parser:tuple(opts)
    local tokens, pos = self.tokens, self:pos()
    local items
    while true do
      if items then self:expect(",") end
      local kind = tokens[self.i]
      if kind == "}}" or kind == "%}" or kind == ")" then break end
      local item
      if opts.simple then item = self:primary() else item = self:expression(opts.no_condition) end
      if items then
        items[#items + 1] = item
      elseif tokens[self.i] ~= "," then
        return item
      else
        items = { item }
      end
      if tokens[self.i] ~= "," then break end
    end
    if not items and not opts.parens then self:unexpected("an expression") end
    return node("tuple", pos, { items = items or {} })
  end

  function Parser:postfix(target)
    local tokens = self.tokens
    while true do
      local kind = tokens[self.i]
      if kind == "." or kind == "[" then
        target = self:subscript(target)
      elseif kind == "(" then
        target = self:call(target)
      else
        return target
      end
    end
  end

  function Parser:filters(target)
    local tokens = self.tokens
    while true do
      local kind = tokens[self.i]
      if kind == "|" then
        target = self:filter(target)
      elseif kind == "name" and tokens[self.i + 1] == "is" then
        target = self:test(target)
      elseif kind == "(" then
        target = self:call(target)
      else
        return target
      end
    end
  end

  function Parser:subscript(target)
    local pos = self:pos()
    if self:skip(".") then
      local kind, text, at = self:kind(), self:text(), self:pos()
      if kind == "name" then
        self:advance()
        if target.tag == "name" and target.name == "loop" then self.loop_uses[#self.loop_uses + 1] = text end
        return { tag = "attr", pos = at, target = target, name = text }
      elseif kind == "integer" then
        self:advance()
        local index = math.tointeger(tonumber((text:gsub("_", "")))) or 0
        return node("item", pos, { target = target, key = node("const", pos, { value = index }) })
      end
      self:unexpected("a name after '.'")
    end
    self:expect("[")
    local args = {}
    while self:kind() ~= "]" do
      if #args > 0 then self:expect(",") end
      args[#args + 1] = self:slice()
    end
    self:expect("]")
    if #args == 1 then
      -- one without a target is of this subscript; x[y[1:]] has one of its own
      if args[1].tag == "slice" and not args[1].target then
        args[1].target = target
        return args[1]
      end
      return node("item", pos, { target = target, key = args[1] })
    end
    for _, arg in ipairs(args) do
      if arg.tag == "slice" and not arg.target then
        self:fail("a slice cannot be one of several subscripts", arg.pos)
      end
    end
    return node("item", pos, { target = target, key = node("tuple", pos, { items = args }) })
  end

  function Parser:slice()
    local pos = self:pos()
    local first, stop, step
    if self:kind() ~= ":" then
      first = self:expression()
      if self:kind() ~= ":" then return first end
    end
    self:expect(":")
    local kind = self:kind()
    if kind ~= ":" and kind ~= "]" and kind ~= "," then stop = self:expression() end
    if self:skip(":") then
      kind = self:kind()
      if kind ~= "]" and kind ~= "," then step = self:expression() end
    end
    return node("slice", pos, { start = first, stop = stop, step = step })
  end

  --- The arguments of a call: `{args, names, values, spread, kwspread}`, the last three only when present.
  function Parser:arguments()
    self:expect("(")
    local tokens = self.tokens
    local args = {}
    local out = { args = args }
    local comma_needed = false
    while tokens[self.i] ~= ")" do
      if comma_needed then
        self:expect(",")
        if tokens[self.i] == ")" then break end
      end
      local i = self.i
      local pos = tokens[i - 1]
      if self:skip("*") then
        if out.spread or out.kwspread then self:fail("'*' comes once, before '**'", pos) end
        out.spread = self:expression()
      elseif self:skip("**") then
        if out.kwspread then self:fail("'**' comes once", pos) end
        out.kwspread = self:expression()
      elseif tokens[i + 3] == "=" and tokens[i] == "name" then
        if out.kwspread then self:fail("keyword arguments come before '**'", pos) end
        local name = tokens[i + 1]
        self.i = i + 6
        out.names, out.values = out.names or {}, out.values or {}
        out.names[#out.names + 1] = name
        out.values[#out.values + 1] = self:expression()
      else
        if out.names or out.spread or out.kwspread then
          self:fail("positional arguments come before keyword arguments", pos)
        end
        args[#args + 1] = self:expression()
      end
      comma_needed = true
    end
    self:expect(")")
    return out
  end

  function Parser:call(target)
    local arguments = self:arguments()
    arguments.target = target
    self.calls = self.calls + 1
    return node("call", target.pos, arguments)
  end

  function Parser:dotted_name()
    local name = self:expect_name()
    while self:skip(".") do name = name .. "." .. self:expect_name() end
    return name
  end

  --- One or more filters, each with its "|", or for a filter block (`bare`) the first one without.
  function Parser:filter(target, bare)
    while bare or self:kind() == "|" do
      if not bare then self:expect("|") end
      bare = false
      local pos = self:pos()
      local name = self:dotted_name()
      local arguments = self:kind() == "(" and self:arguments() or { args = {} }
      arguments.target, arguments.name = target, name
      target = node("filter", pos, arguments)
    end
    return target
  end

  local test_argument = { name = true, string = true, integer = true, float = true, ["("] = true, ["["] = true,
    ["{"] = true }
  local not_argument = { ["else"] = true, ["or"] = true, ["and"] = true }

  function Parser:test(target)
    self:advance()
    local negated = self:skip_name("not")
    local pos = self:pos()
    local name = self:dotted_name()
    local arguments = { args = {} }
    if self:kind() == "(" then
      arguments = self:arguments()
    elseif test_argument[self:kind()] and not (self:kind() == "name" and not_argument[self:text()]) then
      if self:at_name("is") then self:fail("tests cannot be chained with 'is'") end
      arguments.args[1] = self:postfix(self:primary())
    end
    arguments.target, arguments.name = target, name
    local result = node("test", pos, arguments)
    if negated then result = node("not", pos, { operand = result }) end
    return result
  end
end

return M
