--- The files of the live page, as its server gives them: lua/server/page/, and from the documentation's page what both
-- share. All names carry a hash of all contents, so that a browser keeps them for ever and never mixes two versions;
-- the page itself is small and never kept.

local embed = require "dex.embed"
local env = require "dex.env"
local hash = require "dex.hash"
local opt = require("jinja.value").opt

local M = {}

--- What every answer of find() is sent with: nothing from elsewhere, nothing inline, in nobody's frame.
M.HEADERS = {
  { "Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    .. "img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'" },
  { "X-Content-Type-Options", "nosniff" },
  { "Referrer-Policy", "no-referrer" },
  { "X-Frame-Options", "DENY" },
  { "Cross-Origin-Opener-Policy", "same-origin" },
}

local FOLDER = "lua/server/page/"
local SHARED = { ["layout.js"] = "lua/report/docs/layout.js" }
local TYPES = { js = "text/javascript; charset=utf-8", css = "text/css; charset=utf-8", svg = "image/svg+xml" }
-- The first part of the paths that the page shows something under; it looks at the rest itself.
local OWN = { [""] = true, lineage = true, nodes = true, runs = true, operations = true, flows = true, history = true,
  audit = true }
local FOREVER, NEVER = "public, max-age=31536000, immutable", "no-store"

-- The files by name, the page's text and their common hash.
local function load()
  local files, names = {}, {}
  for _, path in ipairs(embed.list(FOLDER)) do
    local name = path:sub(#FOLDER + 1)
    files[name] = embed.read(path)
    names[#names + 1] = name
  end
  for name, path in pairs(SHARED) do
    files[name] = embed.read(path)
    names[#names + 1] = name
  end
  table.sort(names)
  local parts = {}
  for i, name in ipairs(names) do parts[i] = name .. "\0" .. files[name] end
  local version = hash.sha256(table.concat(parts, "\0")):sub(1, 16)
  return { files = files, version = version, html = files["index.html"]:gsub("<!%-%- version %-%->", version) }
end

local kept

-- From the binary they are read once; from a folder (DEX_LUA) each time, for whoever works on the page.
local function loaded()
  if opt(env.get "DEX_LUA") then return load() end
  kept = kept or load()
  return kept
end

--- What a GET of this path gives. Does not wait.
---@param path string of the address, decoded, without query
---@return table? answer body, type, and cache: the value of Cache-Control; nil when the page has no such path
function M.find(path)
  local page = loaded()
  if path == "/favicon.ico" then
    return { body = page.files["icon.svg"], type = TYPES.svg, cache = "public, max-age=86400" }
  end
  local version, name = path:match "^/static/(%x+)/([%w_.-]+)$"
  if version then
    local body = version == page.version and name ~= "index.html" and page.files[name]
    return body and { body = body, type = TYPES[name:match "%.(%w+)$"], cache = FOREVER } or nil
  end
  local first = path:match "^/([^/]*)"
  if not OWN[first] then return nil end
  return { body = page.html, type = "text/html; charset=utf-8", cache = NEVER }
end

return M
