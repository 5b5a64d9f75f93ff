--- What was typed, for the next session: .dex/history of the project, which only its owner may read. What may be a
-- secret is not kept: lines that name one or hold the value of one, and those that begin with a space.

local fs = require "dex.fs"

local M = {}

local FILE = "history"
local MOST = 1000
local OWNER_ONLY = 0x180 -- 0600

---@class repl.History
---@field lines string[] of earlier sessions, the oldest first
---@field path string
---@field mask fun(text: string): string hides secrets
local History = {}
History.__index = History

--- The history of a project's folder. One that cannot be read or written is none of the session's business.
---@param dir string
---@param mask nil|fun(text: string): string
---@return repl.History
function M.open(dir, mask)
  local self = setmetatable({ lines = {}, path = dir .. "/.dex/" .. FILE, mask = mask }, History)
  pcall(function()
    if not fs.exists(self.path) then return end
    for line in fs.read(self.path):gmatch("[^\n]+") do self.lines[#self.lines + 1] = line end
    if #self.lines <= MOST then return end
    self.lines = table.move(self.lines, #self.lines - MOST + 1, #self.lines, 1, {})
    fs.write(self.path, table.concat(self.lines, "\n") .. "\n")
    fs.chmod(self.path, OWNER_ONLY)
  end)
  return self
end

local secret_words = { "password", "passwd", "secret", "token", "api_key", "apikey", "private_key", "credential" }

-- Whether a line may hold what nobody should find in a file.
local function is_secret(self, text)
  local lower = text:lower()
  for _, word in ipairs(secret_words) do
    if lower:find(word, 1, true) then return true end
  end
  return lower:find("://[^/%s]*:[^/%s]*@") ~= nil or self.mask ~= nil and self.mask(text) ~= text
end

--- Keeps a line.
---@param text string
function History:add(text)
  if text:find("^%s") or is_secret(self, text) then return end
  pcall(function()
    if not fs.exists(self.path) then
      fs.mkdirs((self.path:gsub("/[^/]*$", "")))
      fs.write(self.path, "")
      fs.chmod(self.path, OWNER_ONLY)
    end
    fs.append(self.path, text:gsub("\n", " ") .. "\n")
  end)
end

return M
