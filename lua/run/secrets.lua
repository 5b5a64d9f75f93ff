--- Keeps secrets out of logs, records, compiled files and errors: the values of secret environment variables
-- (DBT_ENV_SECRET..., DEX_SECRET_...) and the profile's password where that is no common word.

local env = require "dex.env"
local opt = require("jinja.value").opt

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

local function gather(project)
  local values, seen = {}, {}
  local function add(v)
    if type(v) == "string" and v ~= "" and not seen[v] then
      seen[v] = true
      values[#values + 1] = v
    end
  end
  for name, v in pairs(env.all()) do
    if name:find("^DBT_ENV_SECRET") or name:find("^DEX_SECRET_") then add(v) end
  end
  local profile = project.profile or {}
  if profile.params and is_telling(profile.params) then add(profile.params.password) end
  for _, v in ipairs(profile.secrets or {}) do add(v) end
  table.sort(values, function(a, b) return #a > #b end)
  return values
end

-- A plain replacement: secrets are no patterns.
local function replace(text, secret)
  local out, from = {}, 1
  while true do
    local at, stop = text:find(secret, from, true)
    if not at then break end
    out[#out + 1] = text:sub(from, at - 1)
    from = stop + 1
  end
  if from == 1 then return text end
  out[#out + 1] = text:sub(from)
  return table.concat(out, "*****")
end

--- A function that replaces every secret of a project in a text.
---@param project table
---@return fun(text: string): string
function M.masker(project)
  local values = gather(project)
  return function(text)
    for _, secret in ipairs(values) do text = replace(text, secret) end
    return text
  end
end

return M
