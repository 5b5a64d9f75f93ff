--- Keeps secrets out of logs, records, compiled files and errors: the values of secret environment variables
-- (DBT_ENV_SECRET..., DEX_SECRET_..., DEX_ENV_SECRET_...) and the profile's password where that is no common word.

local env = require "dex.env"
local json = require "dex.json"
local value = require "jinja.value"

local opt = value.opt

local M = {}

-- A password of a few letters, or one that is the user's or the database's name as well ("postgres"), stands in
-- innocent text everywhere: hiding it would spoil SQL and hide nothing.
local SHORT = 8

local function is_telling(params)
  local password = opt(params.password)
  if type(password) ~= "string" or #password < SHORT then return false end
  for key, v in pairs(params) do
    if key ~= "password" and v == password then return false end
  end
  return true
end

--- Whether a variable of the environment is a secret by its name.
---@param name string
---@return boolean
function M.is_name(name)
  return name:find("^DBT_ENV_SECRET") ~= nil or name:find("^DEX_SECRET_") ~= nil or name:find("^DEX_ENV_SECRET_") ~= nil
end

-- The values of secret variables; the longest first, as one may be part of another.
local function of_environment(more)
  local values, seen = {}, {}
  local function add(v)
    if type(v) == "string" and v ~= "" and not seen[v] then
      seen[v] = true
      values[#values + 1] = v
      local inside = json.encode(v):sub(2, -2) -- as it stands in a log of JSON
      if inside ~= v then values[#values + 1] = inside end
    end
  end
  for name, v in pairs(env.all()) do
    if M.is_name(name) then add(v) end
  end
  for _, v in ipairs(more) do add(v) end
  table.sort(values, function(a, b) return #a > #b or #a == #b and a < b end)
  return values
end

local own_values

-- Those of the environment alone. What commands start with is set before the first one is asked for.
local function environment_values()
  own_values = own_values or of_environment {}
  return own_values
end

local function gather(project)
  local profile = project.profile or {}
  local more = table.move(profile.secrets or {}, 1, #(profile.secrets or {}), 1, {})
  more[#more + 1] = profile.params and is_telling(profile.params) and profile.params.password or nil
  return of_environment(more)
end

-- A plain replacement: secrets are no patterns.
local function replace(text, secret)
  local at, stop = text:find(secret, 1, true)
  if not at then return text end
  local out, from = {}, 1
  while at do
    out[#out + 1] = text:sub(from, at - 1)
    from = stop + 1
    at, stop = text:find(secret, from, true)
  end
  out[#out + 1] = text:sub(from)
  return table.concat(out, "*****")
end

local function masker(values)
  return function(text)
    for _, secret in ipairs(values) do text = replace(text, secret) end
    return text
  end
end

--- The secrets of a project, the longest first.
---@param project table
---@return string[]
function M.known(project) return gather(project) end

-- Shorter ones stand in innocent text everywhere.
local SHORTEST = 4

--- A function that replaces these texts, also as they stand in JSON and where one goes over several lines. Texts of
--- fewer than four letters are no secrets.
---@param texts string[]
---@return fun(text: string): string
function M.of(texts)
  local values, seen = {}, {}
  local function add(v)
    if #v >= SHORTEST and not seen[v] then
      seen[v] = true
      values[#values + 1] = v
    end
  end
  for _, text in ipairs(texts) do
    add(text)
    add(json.encode(text):sub(2, -2))
    if text:find "\n" then
      for line in text:gmatch "[^\n]+" do add(line) end
    end
  end
  table.sort(values, function(a, b) return #a > #b or #a == #b and a < b end)
  return masker(values)
end

--- A function that replaces every secret of a project in a text.
---@param project table
---@return fun(text: string): string
function M.masker(project)
  return masker(gather(project))
end

--- The same for the secrets of the environment alone; nil when there is none.
---@return fun(text: string): string|nil
function M.environment_masker()
  local values = environment_values()
  return values[1] and masker(values) or nil
end

--- A copy of a tree with its texts masked, keys included.
---@param x any dicts, lists and tuples are copied, as a list the latter; all else but text is shared
---@param mask fun(text: string): string
---@return any
function M.masked(x, mask)
  if type(x) == "string" then return mask(x) end
  if value.is_dict(x) then
    local copy = value.dict()
    for k, v in pairs(x) do copy[type(k) == "string" and mask(k) or k] = M.masked(v, mask) end
    return copy
  elseif value.is_list(x) or value.is_tuple(x) then
    local copy = value.list()
    for i, v in ipairs(x) do copy[i] = M.masked(v, mask) end
    return copy
  end
  return x
end

--- An artifact as JSON, without the secrets of the environment. Only when one is in it is a copy made.
---@param content table dict
---@return string
function M.encode(content)
  local text = json.encode(content)
  for _, secret in ipairs(environment_values()) do
    if text:find(secret, 1, true) then return json.encode(M.masked(content, M.environment_masker())) end
  end
  return text
end

return M
