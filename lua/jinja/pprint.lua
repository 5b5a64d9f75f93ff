--- Python's pprint.pformat: values on one line when they fit into 80 columns, else one item a line, dict keys sorted.

local value = require "jinja.value"
local classes = require "jinja.classes"
local printing = require "jinja.printing"
local sorting = require "jinja.sorting"
local text = require "jinja.text"

local M = {}

local WIDTH = 80
local repr = printing.repr

local function sorted_keys(d)
  local keys = value.keys(d)
  local plain = true
  for i = 2, #keys do
    if type(keys[i]) ~= type(keys[1]) or type(keys[i]) ~= "string" and type(keys[i]) ~= "number" then plain = false end
  end
  if plain then return sorting.sort(keys) end
  return sorting.sort(keys, function(k) return type(k) .. printing.repr(k) end)
end

-- repr with every dict sorted
local function flat(x)
  if value.is_dict(x) then
    local out = {}
    for i, k in ipairs(sorted_keys(x)) do out[i] = flat(k) .. ": " .. flat(rawget(x, k)) end
    return "{" .. table.concat(out, ", ") .. "}"
  elseif value.is_list(x) or value.is_tuple(x) then
    local out = {}
    for i = 1, #x do out[i] = flat(x[i]) end
    if value.is_list(x) then return "[" .. table.concat(out, ", ") .. "]" end
    return "(" .. table.concat(out, ", ") .. (#x == 1 and "," or "") .. ")"
  end
  return repr(x)
end

local format

local function wrapped_text(s, indent, allowance, level)
  local lines = text.lines(s, true)
  local chunks = {}
  local width = WIDTH - indent - (level == 1 and 2 or 0)
  local max_last = width - allowance
  for i, line in ipairs(lines) do
    local rep = repr(line)
    local room = i == #lines and max_last or width
    if text.len(rep) <= room then
      chunks[#chunks + 1] = rep
    else
      local parts = {}
      for word, blank in line:gmatch("(%S*)(%s*)") do
        if word .. blank ~= "" then parts[#parts + 1] = word .. blank end
      end
      local current = ""
      for j, part in ipairs(parts) do
        local candidate = current .. part
        local limit = (j == #parts and i == #lines) and max_last or width
        if text.len(repr(candidate)) > limit then
          if current ~= "" then chunks[#chunks + 1] = repr(current) end
          current = part
        else
          current = candidate
        end
      end
      if current ~= "" then chunks[#chunks + 1] = repr(current) end
    end
  end
  if #chunks == 1 then return chunks[1] end
  local body = table.concat(chunks, "\n" .. (" "):rep(indent + (level == 1 and 1 or 0)))
  return level == 1 and "(" .. body .. ")" or body
end

local function rows(items, indent, allowance, level, open, close)
  local out = {}
  for i, item in ipairs(items) do
    out[i] = item(indent + #open, i == #items and allowance + #close or 1, level)
  end
  return open .. table.concat(out, ",\n" .. (" "):rep(indent + #open)) .. close
end

format = function(x, indent, allowance, level)
  local line = flat(x)
  if text.len(line) <= WIDTH - indent - allowance then return line end
  level = level + 1
  if value.is_dict(x) and #x > 0 then
    local items = {}
    for i, k in ipairs(sorted_keys(x)) do
      items[i] = function(at, room, depth)
        local key = flat(k)
        return key .. ": " .. format(rawget(x, k), at + text.len(key) + 2, room, depth)
      end
    end
    return rows(items, indent, allowance, level, "{", "}")
  elseif value.is_list(x) or value.is_tuple(x) then
    local items = {}
    for i = 1, #x do items[i] = function(at, room, depth) return format(x[i], at, room, depth) end end
    if value.is_tuple(x) then return rows(items, indent, allowance, level, "(", #x == 1 and ",)" or ")") end
    return rows(items, indent, allowance, level, "[", "]")
  elseif type(x) == "string" then
    return wrapped_text(x, indent, allowance, level)
  end
  return line
end

--- pformat(x).
function M.format(x)
  if getmetatable(x) == classes.Markup then return repr(x) end
  return format(x, 0, 0, 0)
end

return M
