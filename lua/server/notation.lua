--- Shapes of JSON: what a request may hold, what an answer holds. Written once, in a short notation, they check
-- bodies and queries, and are the schemas of the OpenAPI document.
--
--     id: text                 a field; its line may end with "-- words about it"
--     limit?: integer 1..1000  one that may be left out, in bounds
--     ended_at: time?          one that may be null
--     kind: flow|operation     one of some words
--     tasks: [Task]            a list of another shape
--     counts: {integer}        a mapping of names to integers
--
-- Types: text, integer, number, boolean, time, mapping, any, texts (one or a list), and the names of shapes, which
-- begin with a capital.

local err = require "err"
local value = require "jinja.value"

local M = {}

local dict, list, opt = value.dict, value.list, value.opt

--- A type: `kind`, and what belongs to it.
---@class dex.Shape
---@field kind string text, integer, number, boolean, time, mapping, any, texts, enum, list, map, ref or object
---@field nullable boolean|nil
---@field of dex.Shape|string|string[]|nil element, name of a shape, or words
---@field low integer|nil
---@field high integer|nil
---@field fields {name: string, shape: dex.Shape, optional: boolean, about: string|nil}[]|nil of an object

local plain = { text = true, integer = true, number = true, boolean = true, time = true, mapping = true, any = true,
  texts = true }

local function parse_type(text)
  local nullable = text:sub(-1) == "?"
  if nullable then text = text:sub(1, -2) end
  local shape
  local inside = text:match "^%[(.*)%]$"
  local mapped = text:match "^{(.*)}$"
  local low, high = text:match "^integer (%d+)%.%.(%d+)$"
  if inside then
    shape = { kind = "list", of = parse_type(inside) }
  elseif mapped then
    shape = { kind = "map", of = parse_type(mapped) }
  elseif low then
    shape = { kind = "integer", low = math.tointeger(tonumber(low)), high = math.tointeger(tonumber(high)) }
  elseif plain[text] then
    shape = { kind = text }
  elseif text:find "^%u%w*$" then
    shape = { kind = "ref", of = text }
  else
    local words = {}
    for word in text:gmatch "[%w_-]+" do words[#words + 1] = word end
    shape = { kind = "enum", of = words }
  end
  shape.nullable = nullable
  return shape
end

--- Reads lines of the notation, or the one type that the text is.
---@param text string
---@return dex.Shape
function M.parse(text)
  if not text:find(":", 1, true) then return parse_type(text) end
  local fields = {}
  for line in text:gmatch "[^\n]+" do
    local words, about = line:match "^%s*(.-)%s*%-%- (.*)$"
    local name, optional, kind = (words or line):match "^%s*([%w_-]+)(%??):%s*(.-)%s*$"
    if name then
      fields[#fields + 1] = { name = name, shape = parse_type(kind), optional = optional == "?", about = about }
    end
  end
  return { kind = "object", fields = fields }
end

-- Checks -------------------------------------------------------------------------------------------------

local words_for = { text = "a text", integer = "a whole number", number = "a number", boolean = "true or false",
  time = "a time", texts = "a text or a list of texts", mapping = "an object",
  list = "a list", map = "an object", object = "an object" }

local function is_of(kind, v)
  if kind == "text" or kind == "time" then return type(v) == "string" end
  if kind == "integer" then return math.type(v) == "integer" end
  if kind == "number" then return type(v) == "number" end
  if kind == "boolean" then return type(v) == "boolean" end
  if kind == "list" then return value.is_list(v) end
  if kind == "texts" then
    if type(v) == "string" then return true end
    if not value.is_list(v) then return false end
    for _, item in ipairs(v) do
      if type(item) ~= "string" then return false end
    end
    return true
  end
  if kind == "any" then return true end
  return value.is_dict(v)
end

local function refuse(where, message, hint)
  err.raise { code = 676, message = where ~= "" and ("'%s' %s"):format(where, message) or "the body " .. message,
    hint = hint }
end

local function check_enum(words, v, where)
  for _, word in ipairs(words) do
    if v == word then return end
  end
  local hint = type(v) == "string" and err.did_you_mean(v, words) or nil
  refuse(where, "must be one of " .. table.concat(words, ", "), hint)
end

local check

local function check_object(shape, v, where)
  local names, known = {}, {}
  for i, field in ipairs(shape.fields) do
    names[i], known[field.name] = field.name, true
  end
  for name in pairs(v) do
    if not known[name] then
      refuse(where, ("has a field '%s' that is not known"):format(tostring(name)),
        err.did_you_mean(tostring(name), names) or (#names > 0 and "it may have " .. table.concat(names, ", ")
          or "it has none"))
    end
  end
  for _, field in ipairs(shape.fields) do
    local inner = rawget(v, field.name)
    local path = where == "" and field.name or where .. "." .. field.name
    if inner == nil then
      if not field.optional then refuse(where, ("lacks '%s'"):format(field.name)) end
    else
      check(field.shape, inner, path)
    end
  end
end

function check(shape, v, where)
  if opt(v) == nil and v == value.none then
    if shape.nullable or shape.kind == "any" then return end
    refuse(where, "is null")
  end
  if shape.kind == "enum" then return check_enum(shape.of, v, where) end
  if not is_of(shape.kind, v) then refuse(where, "must be " .. words_for[shape.kind]) end
  if shape.low and (v < shape.low or v > shape.high) then
    refuse(where, ("must be between %d and %d"):format(shape.low, shape.high))
  end
  if shape.kind == "object" then
    check_object(shape, v, where)
  elseif shape.kind == "list" then
    for i, item in ipairs(v) do check(shape.of, item, ("%s[%d]"):format(where, i - 1)) end
  elseif shape.kind == "map" then
    for key, item in pairs(v) do check(shape.of, item, where .. "." .. tostring(key)) end
  end
end

--- Raises code 676, with the path of what is wrong, when a decoded body is not of the shape.
---@param shape dex.Shape
---@param v any
function M.check(shape, v) check(shape, v, "") end

--- The values of a query by their shape: texts become what they should be. Raises code 676.
---@param shape dex.Shape an object
---@param query table<string, string>
---@return table
function M.query(shape, query)
  local typed = dict()
  for name, text in pairs(query) do typed[name] = text end
  for _, field in ipairs(shape.fields) do
    local text = query[field.name]
    if text ~= nil then
      local kind = field.shape.kind
      if kind == "integer" then typed[field.name] = math.tointeger(tonumber(text)) or text end
      if kind == "boolean" and (text == "true" or text == "false") then typed[field.name] = text == "true" end
      if kind == "list" then
        local items = list()
        for word in text:gmatch "%S+" do items[#items + 1] = word end
        typed[field.name] = items
      end
    end
  end
  M.check(shape, typed)
  return typed
end

-- OpenAPI ------------------------------------------------------------------------------------------------

local schema_of

local json_types = { text = "string", integer = "integer", number = "number", boolean = "boolean", mapping = "object" }

local function nullable(schema)
  if not schema.type or schema.enum then return dict("anyOf", list { schema, dict("type", "null") }) end
  schema.type = list { schema.type, "null" }
  return schema
end

local function object_schema(shape)
  local properties, required = dict(), list()
  for _, field in ipairs(shape.fields) do
    local schema = schema_of(field.shape)
    if field.about and not schema["$ref"] then schema.description = field.about end
    properties[field.name] = schema
    if not field.optional then required[#required + 1] = field.name end
  end
  local schema = dict("type", "object", "properties", properties, "additionalProperties", false)
  if #required > 0 then schema.required = required end
  return schema
end

function schema_of(shape)
  local kind = shape.kind
  local schema
  if kind == "any" then return dict() end
  if kind == "ref" then
    schema = dict("$ref", "#/components/schemas/" .. shape.of)
  elseif kind == "enum" then
    schema = dict("type", "string", "enum", list(table.move(shape.of, 1, #shape.of, 1, {})))
  elseif kind == "texts" then
    schema = dict("anyOf", list { dict("type", "string"), dict("type", "array", "items", dict("type", "string")) })
  elseif kind == "time" then
    schema = dict("type", "string", "format", "date-time")
  elseif kind == "list" then
    schema = dict("type", "array", "items", schema_of(shape.of))
  elseif kind == "map" then
    schema = dict("type", "object", "additionalProperties", schema_of(shape.of))
  elseif kind == "object" then
    schema = object_schema(shape)
  else
    schema = dict("type", json_types[kind])
    if shape.low then schema.minimum, schema.maximum = shape.low, shape.high end
  end
  return shape.nullable and nullable(schema) or schema
end

--- A shape as JSON Schema.
---@param shape dex.Shape
---@return table dict
function M.schema(shape) return schema_of(shape) end

return M
