--- Run by test_pattern.c with two string libraries, Lua's and the engine's. Gives the first difference between them, or
-- nothing, over many patterns, good and bad ones.

local lua, own = ...
math.randomseed(7)

local parts = { ".", "%a", "%d", "%s", "%w", "%A", "[ab]", "[^a]", "[a-c]", "[%d_]", "[]]", "[^]b]", "[a-]", "(", ")",
  "()", "(a", "a)", "*", "+", "-", "?", "^", "$", "%b()", "%f[%w]", "%1", "%2", "%%", "%", "[", "]", "a", "b", "c",
  "1", "_", " ", "\0", "\255", "%b", "%f", "[%", "x-", "(.-)", "(%w*)", "%z", "%G", "%x" }
local texts = { "a", "b", "c", "1", "_", " ", "(", ")", "]", "-", "%", "\0", "\255", "ab", "aab", "(a(b)c)" }
local replacements = { "", "<%0>", "%1", "%2", "%%", "%", "x", "%9", 7, { a = "A", ab = 1, b = false }, true,
  function(a, b)
    if a ~= "a" then return b or a end
  end,
  function() return {} end }

local function some(list, most)
  local out = {}
  for i = 1, math.random(0, most) do out[i] = list[math.random(#list)] end
  return table.concat(out)
end

local function shown(...)
  local r = table.pack(...)
  for i = 1, r.n do r[i] = tostring(r[i]):gsub("table: 0x%x+", "table") end
  return table.concat(r, "|")
end

local function all(lib, s, p, at)
  local out = {}
  for a, b in lib.gmatch(s, p, at) do out[#out + 1] = tostring(a) .. ":" .. tostring(b) end
  return table.concat(out, ",")
end

local function differ(call)
  local a, b = shown(pcall(call, lua)), shown(pcall(call, own))
  if a ~= b then return ("Lua gives %q, the engine %q"):format(a, b) end
end

for _ = 1, 100000 do
  local s, p, at = some(texts, 8), some(parts, 6), ({ 1, 1, 2, -1, 0, 9, -20 })[math.random(7)]
  local r, most = replacements[math.random(#replacements)], ({ 1, 0, -1, 3 })[math.random(9)]
  local plain = math.random(5) == 1
  for name, call in pairs {
    find = function(lib) return lib.find(s, p, at, plain) end,
    match = function(lib) return lib.match(s, p, at) end,
    gsub = function(lib) return lib.gsub(s, p, r, most) end,
    gmatch = function(lib) return all(lib, s, p, at) end,
    rep = function(lib) return lib.rep(s, at, plain and p or nil) end,
  } do
    local difference = differ(call)
    if difference then return ("%s(%q, %q, %s): %s"):format(name, s, p, tostring(r), difference) end
  end
end

for _, call in ipairs {
  function(lib) return lib.find() end,
  function(lib) return lib.match("a") end,
  function(lib) return lib.gsub("a", "a") end,
  function(lib) return lib.gmatch({}, "a") end,
  function(lib) return lib.find("a", "a", "x") end,
  function(lib) return lib.find(12, 2) end,
  function(lib) return lib.rep("a") end,
  function(lib) return lib.gsub("abc", ("(a)"):rep(33), "") end,
  function(lib) return lib.gsub("abc", ("()"):rep(33), "") end,
  function(lib) return lib.find(("a"):rep(300), ("a?"):rep(300)) end,
} do
  local difference = differ(call)
  if difference then return difference end
end
