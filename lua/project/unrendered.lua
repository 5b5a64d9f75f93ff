--- A node's settings as they were written, for its `unrendered_config`: another target or variable changes what they
-- come to, and is not a change of the project.

local literal = require "project.literal"
local printing = require "jinja.printing"
local tree = require "project.tree"
local value = require "jinja.value"

local M = {}

-- The arguments of a call, split at the commas that stand in no brackets and no quotes.
local function arguments(text)
  local parts, depth, quote, from = {}, 0, nil, 1
  for at, c in text:gmatch("()([%[%]{}(),'\"])") do
    if quote then
      if c == quote and text:byte(at - 1) ~= 92 then quote = nil end
    elseif c == "'" or c == '"' then
      quote = c
    elseif c:find("[%[{(]") then
      depth = depth + 1
    elseif c:find("[%]})]") then
      depth = depth - 1
    elseif c == "," and depth == 0 then
      parts[#parts + 1] = text:sub(from, at - 1)
      from = at + 1
    end
  end
  parts[#parts + 1] = text:sub(from)
  return parts
end

-- An expression stays an expression.
local function written(text)
  local call = literal.call("config(v=" .. text .. ")")
  local v = call and call.args[1] and call.args[1].value
  if v == nil then return (text:gsub("%s+", " ")) end
  return printing.str(v)
end

--- A constant of a config() call as dbt's manifest has it: a text is itself, anything else Python's text for it.
---@param v any
---@return string
M.constant = printing.str

--- The keyword arguments of the first config() call in a template, as dbt's manifest has them.
---@param source string
---@return table|nil dict; nil when the call cannot be told from the text
function M.of_call(source)
  local inside = source:match("%f[%w_]config%s*(%b())")
  if not inside then return nil end
  local settings = value.dict()
  for _, part in ipairs(arguments(inside:sub(2, -2))) do
    local key, text = part:match("^%s*([%a_][%w_]*)%s*=%s*(.-)%s*$")
    if key then settings[key] = written(text) end
  end
  return #settings > 0 and settings or nil
end

--- The settings of a properties file, with the texts that hold Jinja as they stand there.
---@param settings table dict, rendered, with those that stand beside `config` moved into it
---@param raw table|nil dict: `config` as written
---@return table dict
function M.of_properties(settings, raw)
  local copy
  for key, v in pairs(raw or value.dict()) do
    if settings[key] ~= nil and (tree.has_jinja(v) or type(v) == "table" and settings[key] ~= v) then
      copy = copy or value.copy_dict(settings)
      copy[key] = v
    end
  end
  return copy or settings
end

return M
