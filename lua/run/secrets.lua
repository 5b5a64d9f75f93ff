--- Keeps secrets out of logs, records, compiled files and errors: the values of secret environment variables
-- (DBT_ENV_SECRET..., DEX_SECRET_...) and of the profile's password.

local env = require "dex.env"
local opt = require("jinja.value").opt

local M = {}

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
  add(profile.params and opt(profile.params.password))
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
