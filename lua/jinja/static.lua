--- Calls that can be read without running: a template whose only tags are literal ref(), source(), config() and
-- var() calls.

local M = {}

local known = { ref = true, source = true, config = true, var = true }

local value = require "jinja.value"

-- nil when the node is no literal
local function literal(node)
  if node.tag == "const" then return node.value end
  if node.tag == "neg" and node.operand.tag == "const" and type(node.operand.value) == "number" then
    return -node.operand.value
  end
  if node.tag == "list" or node.tag == "tuple" then
    local out = {}
    for i, item in ipairs(node.items) do
      out[i] = literal(item)
      if out[i] == nil then return nil end
    end
    return node.tag == "list" and value.list(out) or value.tuple(out)
  elseif node.tag == "dict" then
    local out = value.dict()
    for i, key in ipairs(node.keys) do
      local k, v = literal(key), literal(node.values[i])
      if type(k) ~= "string" or v == nil then return nil end
      out[k] = v
    end
    return out
  end
end

local function call_of(node, positions)
  if node.tag ~= "call" or node.target.tag ~= "name" or not known[node.target.name] or node.spread or node.kwspread then
    return nil
  end
  local call = { name = node.target.name, args = {}, kwargs = value.dict(), line = positions:line(node.pos) }
  for i, arg in ipairs(node.args) do
    call.args[i] = literal(arg)
    if call.args[i] == nil then return nil end
  end
  for i, name in ipairs(node.names or {}) do
    local v = literal(node.values[i])
    if v == nil then return nil end
    call.kwargs[name] = v
  end
  -- a rendered string of var() may hold anything
  if call.name == "var" then return nil end
  return call
end

--- The calls of a template in order, `{name, args, kwargs, line}` each; nil when it does anything else.
---@param tree table
function M.calls(tree)
  local out = {}
  for _, node in ipairs(tree.body) do
    if node.tag == "print" then
      local call = call_of(node.expr, tree.lex.positions)
      if not call then return nil end
      out[#out + 1] = call
    elseif node.tag ~= "text" then
      return nil
    end
  end
  return out
end

return M
