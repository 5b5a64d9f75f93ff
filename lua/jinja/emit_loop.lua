--- `for` loops as Lua source. How much of the loop a body looks at decides the shape:
--   nothing                        for _, x in iter(e)
--   index, index0, first           the same with a counter
--   also last, length, revindex    over an array, by number
--   anything else, or `loop` itself   over an array, with a loop object

local lua_name = require("jinja.emit").lua_name

local M = {}

local counted = { index = true, index0 = true, first = true }
local by_number = { index = true, index0 = true, first = true, last = true, length = true, revindex = true,
  revindex0 = true }

local function subset(uses, of)
  for name in pairs(uses) do
    if not of[name] then return false end
  end
  return true
end

local function mode_of(node)
  local uses = node.loop
  if node.recursive then return "full" end
  if not uses then return "plain" end
  if uses == "full" then return "full" end
  if subset(uses, counted) then return "counted" end
  if subset(uses, by_number) then return "array" end
  return "full"
end

--- Adds the loop methods to the compiler class.
---@param Compiler table
function M.install(Compiler)
  --- The Lua expression of a node that is `loop.name` of the innermost loop; nil when it is none, or needs the loop
  --- object.
  function Compiler:loop_attribute_of(node)
    if node.target.tag ~= "name" or node.target.name ~= "loop" then return nil end
    local name = node.name
    local s = self.scope
    while s and not s.vars.loop do s = s.parent end
    local info = s and s.loop
    if not info then return nil end
    local i, n = info.i, info.n
    if name == "index" then return i
    elseif name == "index0" then return ("(%s-1)"):format(i)
    elseif name == "first" then return ("(%s==1)"):format(i)
    elseif not n then return nil
    elseif name == "last" then return ("(%s==%s)"):format(i, n)
    elseif name == "length" then return n
    elseif name == "revindex" then return ("(%s-%s+1)"):format(n, i)
    elseif name == "revindex0" then return ("(%s-%s)"):format(n, i)
    end
  end

  -- declares the targets as locals of the current scope; gives the set of names
  local function declare(self, target, bound)
    bound = bound or {}
    if target.tag == "name" then
      if not bound[target.name] then self:put("local " .. self:bind(target.name) .. " ") end
      bound[target.name] = true
    else
      for _, item in ipairs(target.items) do declare(self, item, bound) end
    end
    return bound
  end

  -- the loop's targets from the Lua variable `source`
  local function take(self, target, source)
    if target.tag == "name" then
      self:put(("local %s=%s "):format(self:bind(target.name), source))
      return { [target.name] = true }
    end
    local simple, seen = true, {}
    for _, item in ipairs(target.items) do
      if item.tag ~= "name" or seen[item.name] then simple = false end
      if item.name then seen[item.name] = true end
    end
    if simple and #target.items > 0 then
      local vars = {}
      for i, item in ipairs(target.items) do vars[i] = self:bind(item.name) end
      self:at(target.pos)
      self:put("local " .. table.concat(vars, ",") .. "=")
      self:unpacked(source, #vars)
      return seen
    end
    local bound = declare(self, target)
    self:assign(target, source)
    return bound
  end

  -- the body's own scope, its targets and names, and the label that `continue` jumps to
  local function iteration(self, node, id, source, info, pair)
    self:push_scope()
    local bound
    if pair then
      bound = { [node.target.items[1].name] = true, [node.target.items[2].name] = true }
      self.scope.vars[node.target.items[1].name] = pair[1]
      self.scope.vars[node.target.items[2].name] = pair[2]
    else
      bound = take(self, node.target, source)
    end
    if node.filter and info.inline_filter then
      self:put("if ")
      self:condition_expr(node.filter)
      self:put(" then ")
    end
    if info.count then self:put(("%s=%s+1 "):format(info.i, info.i)) end
    if info.object then self:put(("%s.i=%s "):format(info.object, info.i)) end
    self.scope.vars.loop = info.object or self:undefined("loop")
    self.scope.loop = info
    local outer_label = self.continue_label
    self.continue_label = id
    self:put("do ")
    bound.loop = true
    self:declare(node.body, bound)
    self:body(node.body)
    self:put("end ")
    -- as in Jinja2: a body left by break or continue does not count
    if info.ran then self:put(info.ran .. "=true ") end
    self.continue_label = outer_label
    if node.filter and info.inline_filter then self:put("end ") end
    self:put(("::c%d:: "):format(id))
    self:pop_scope()
  end

  local function otherwise(self, node, test)
    if not node.otherwise then return end
    self:put("if " .. test .. " then ")
    self:push_scope()
    self:declare(node.otherwise)
    self:body(node.otherwise)
    self:pop_scope()
    self:put("end ")
  end

  -- "k, v in d.items()" without a tuple for each pair
  local function is_items(node)
    local iter, target = node.iter, node.target
    if iter.tag == "call" and iter.target.tag == "attr" and iter.target.name == "items" and #iter.args == 0
      and not iter.names and not iter.spread and not iter.kwspread and target.tag == "tuple" and #target.items == 2 then
      local a, b = target.items[1], target.items[2]
      return a.tag == "name" and b.tag == "name" and a.name ~= b.name
    end
    return false
  end

  local function lazy_loop(self, node, id, mode)
    local info = { inline_filter = true }
    if mode == "counted" then
      info.i, info.count = "i" .. id, true
      self:put(("local %s=0 "):format(info.i))
    end
    if node.otherwise then
      info.ran = "r" .. id
      self:put(("local %s=false "):format(info.ran))
    end
    self.fn.locals = self.fn.locals + 6
    local pair
    if is_items(node) then
      self:at(node.iter.pos)
      local items = node.target.items
      pair = { ("v%d_%s"):format(self:id(), lua_name(items[1].name)),
        ("v%d_%s"):format(self:id(), lua_name(items[2].name)) }
      self:put(("for %s,%s in "):format(pair[1], pair[2]))
      self:begin("items2")
      self:expr(node.iter.target.target)
    else
      self:at(node.iter.pos)
      self:put(("for _,x%d in "):format(id))
      self:begin("iter", node.iter.pos)
      self:expr(node.iter)
    end
    self:put(") do ")
    iteration(self, node, id, "x" .. id, info, pair)
    self:put("end ")
    otherwise(self, node, "not " .. tostring(info.ran))
  end

  -- fills an array with the items that pass the filter
  local function filtered_array(self, node, id, iter)
    self:at(node.iter.pos)
    self:put(("local a%d,c%d={},0 for _,x%d in "):format(id, id, id))
    self:begin("iter")
    iter()
    self:put(") do ")
    self:push_scope()
    self.fn.locals = self.fn.locals + 6
    take(self, node.target, "x" .. id)
    self.scope.vars.loop = self:undefined("loop")
    self:put("if ")
    self:condition_expr(node.filter)
    self:put((" then c%d=c%d+1 a%d[c%d]=x%d end end "):format(id, id, id, id, id))
    self:pop_scope()
  end

  local function array_loop(self, node, id, mode, iter, recursive)
    if node.filter then
      filtered_array(self, node, id, iter)
    else
      self:put(("local a%d,c%d="):format(id, id))
      self:begin("seq", node.iter.pos)
      iter()
      self:put(") ")
    end
    self.fn.locals = self.fn.locals + 10
    local info = { i = "i" .. id, n = "c" .. id }
    if node.otherwise then
      info.ran = "r" .. id
      self:put(("local %s=false "):format(info.ran))
    end
    if mode == "full" then
      info.object = "l" .. id
      self:put(("local l%d=rt.LP(a%d,c%d%s) "):format(id, id, id, recursive and (",d%d,f%d"):format(id, id) or ",1"))
    end
    self:put(("for i%d=1,c%d do local x%d=a%d[i%d] "):format(id, id, id, id, id))
    iteration(self, node, id, "x" .. id, info)
    self:put("end ")
    otherwise(self, node, "not " .. tostring(info.ran))
  end

  local function recursive_loop(self, node, id)
    self:put(("do local f%d f%d=function(e%d,d%d) "):format(id, id, id, id))
    local outer = self.buffer
    self:push_fn("loop")
    self:push_scope()
    local b = self:push_buffer()
    -- the sequence is put after the function, where Jinja evaluates it
    array_loop(self, node, id, "full", function() self:put("e" .. id) end, true)
    self:put("return " .. self:joined(b) .. " end ")
    self:pop_scope()
    self:pop_fn()
    self.buffer = outer
    self:put(("local s%d=f%d("):format(id, id))
    self:expr(node.iter)
    self:put(",1) ")
    self:put(("%s=%s+1 %s[%s]=s%d end "):format(outer.n, outer.n, outer.o, outer.n, id))
  end

  --- Puts a whole loop.
  function Compiler:for_loop(node)
    local id = self:id()
    local mode = mode_of(node)
    if node.recursive then return recursive_loop(self, node, id) end
    self:put("do ")
    local before = self.fn.locals
    if mode == "plain" or mode == "counted" then
      lazy_loop(self, node, id, mode)
    else
      array_loop(self, node, id, mode, function() self:expr(node.iter) end)
    end
    self.fn.locals = before
    self:put("end ")
  end
end

return M
