local t = require "tap"
local fs = require "dex.fs"
local embed = require "dex.embed"
local hash = require "dex.hash"
local time = require "dex.time"
local term = require "dex.term"
local env = require "dex.env"

local root = os.tmpname()
os.remove(root)

local function path(name) return root .. "/" .. name end

t.test("write, read, append, stat", function()
  fs.mkdirs(path "a/b/c")
  fs.mkdirs(path "a/b/c")
  fs.write(path "a/b/f", "one\0two")
  fs.append(path "a/b/f", "+")
  fs.append(path "a/b/new", "n")
  t.eq(fs.read(path "a/b/f"), "one\0two+")
  local stat = fs.stat(path "a/b/f")
  t.eq(stat.size, 8)
  t.eq(stat.type, "file")
  t.ok(math.abs(stat.mtime - time.now()) < 100)
  t.eq(fs.stat(path "a").type, "dir")
  t.eq(fs.stat(path "nothing"), nil)
  fs.write(path "a/b/f", "", true)
  t.eq(fs.read(path "a/b/f"), "")
  t.eq(fs.list(path "a/b"), { "c", "f", "new" })
end)

t.test("a write replaces a file, but never a device", function()
  -- through a link, so that a defect here harms nobody
  t.ok(os.execute(("ln -s /dev/null '%s'"):format(path "null")))
  fs.write(path "null", "gone")
  t.eq(fs.stat(path "null").type, "other")
  fs.remove_tree(path "null")
end)

t.test("a draft takes its file's place at the end, or leaves it", function()
  local draft = require "dex.draft"
  local name = path "a/draft"
  fs.write(name, "old")
  local one = draft.new(name)
  one:write "ne"
  one:write "w"
  t.eq(fs.read(name), "old")
  one:publish()
  t.eq(fs.read(name), "new")
  t.raises(function() one:write "x" end, "published or dropped already")
  one:drop()
  local other = draft.new(name)
  other:write "gone"
  other:drop()
  t.eq(fs.read(name), "new")
  draft.new(name):write "collected"
  collectgarbage()
  for _, found in ipairs(fs.list(path "a")) do t.ok(not found:find "%.tmp$", found) end
  fs.mkdirs(path "a/folder")
  local never = draft.new(path "a/folder")
  local ok, e = pcall(never.publish, never)
  t.ok(not ok and e.code == 110 and e.file == path "a/folder")
  fs.remove_tree(path "a/folder")
  ok, e = pcall(draft.new, path "nothing/f")
  t.ok(not ok and e.code == 110)
  t.eq(fs.list(path "a"), { "b", "draft" })
  fs.remove_tree(name)
end)

t.test("an update leaves a file alone that has the text already", function()
  local name = path "a/updated"
  for _, text in ipairs { "first", "the second is longer", "short", "", ("x"):rep(10000), ("x"):rep(9999) .. "y" } do
    fs.update(name, text)
    t.eq(fs.read(name), text)
  end
  t.ok(os.execute(("touch -d 2001-01-01 '%s'"):format(name)))
  local before = fs.stat(name).mtime
  fs.update(name, ("x"):rep(9999) .. "y")
  t.eq(fs.stat(name).mtime, before)
  fs.update(name, "other")
  t.ok(fs.stat(name).mtime > before)
  fs.remove_tree(name)
  t.ok(os.execute(("ln -s /dev/null '%s'"):format(path "null")))
  fs.update(path "null", "gone")
  fs.remove_tree(path "null")
end)

t.test("failures are errors 110 that name the path", function()
  local cases = {
    [function() fs.read(path "nothing") end] = "nothing",
    [function() fs.read(path "a") end] = "a",
    [function() fs.write(path "no/where", "x") end] = "no/where",
    [function() fs.write(path "a", "x") end] = "a",
    [function() fs.append(path "a", "x") end] = "a",
    [function() fs.update(path "a", "x") end] = "a",
    [function() fs.update(path "no/where", "x") end] = "no/where",
    [function() fs.walk(path "nothing") end] = "nothing",
    [function() fs.list(path "nothing") end] = "nothing",
    [function() fs.mkdirs(path "a/b/f/g") end] = "a/b/f/g",
    [function() fs.mkdirs "" end] = "",
  }
  for fn, name in pairs(cases) do
    local e = t.raises(fn, "^cannot ")
    t.eq(e.code, 110)
    t.eq(e.file, name == "" and "" or path(name))
  end
  t.eq(fs.list(path "a/b"), { "c", "f", "new" }, "no temporary file stays")
end)

t.test("walk: sorted by bytes, links followed but never in a circle, no .git", function()
  for _, dir in ipairs { "w/x", "w/.git", "w/x.y", "w/sub/.git" } do fs.mkdirs(path(dir)) end
  for _, file in ipairs { "w/x/1", "w/x.y/2", "w/x-", "w/.git/no", "w/.hidden", "w/sub/.git/no" } do
    fs.write(path(file), "")
  end
  t.ok(os.execute(("ln -s .. '%s'; ln -s ../x '%s'; ln -s nowhere '%s'; ln -s 1 '%s'"):format(
    path "w/x/up", path "w/sub/again", path "w/broken", path "w/x/link")))
  t.eq(fs.walk(path "w"), { ".hidden", "sub/again/1", "sub/again/link", "x-", "x.y/2", "x/1", "x/link" })
end)

t.test("exists, isdir, realpath, cwd", function()
  t.eq({ fs.exists(path "w"), fs.isdir(path "w"), fs.exists(path "w/x-"), fs.isdir(path "w/x-") },
    { true, true, true, false })
  t.eq(fs.exists(path "w/broken"), false)
  t.eq(fs.realpath(path "w/x/up/x-"), fs.realpath(root) .. "/w/x-")
  t.eq(fs.realpath(path "nothing"), nil)
  t.eq(fs.cwd():sub(1, 1), "/")
end)

t.test("remove_tree follows no link", function()
  fs.mkdirs(path "keep")
  fs.write(path "keep/me", "")
  t.ok(os.execute(("ln -s ../keep '%s'"):format(path "w/out")))
  fs.remove_tree(path "w")
  fs.remove_tree(path "w")
  t.eq(fs.exists(path "w"), false)
  t.eq(fs.exists(path "keep/me"), true)
  fs.remove_tree(root)
end)

t.test("what the program holds", function()
  local files = embed.list "lua/"
  t.ok(#files > 3)
  for i = 2, #files do t.ok(files[i - 1] < files[i], files[i]) end
  t.ok(embed.read("lua/err.lua"):find("dex.error", 1, true))
  t.eq(t.raises(function() embed.read "lua/nothing.lua" end, "holds no such file").file, "lua/nothing.lua")
  t.eq(embed.list "nowhere/", {})
end)

t.test("hash, time, term, env, uuid", function()
  t.eq(hash.sha256 "abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
  t.eq(hash.md5 "", "d41d8cd98f00b204e9800998ecf8427e")
  t.eq(time.iso(0), "1970-01-01T00:00:00.000000Z")
  t.eq(time.iso(1767323045.678901), "2026-01-02T03:04:05.678901Z")
  t.eq(time.iso(-0.25), "1969-12-31T23:59:59.750000Z")
  t.eq(time.iso(0.9999999), "1970-01-01T00:00:01.000000Z")
  t.ok(time.mono() <= time.mono())
  t.eq(term.isatty(999), false)
  t.eq(t.raises(function() term.write(999, "x") end, "cannot write").code, 110)
  t.eq(env.get "PATH", env.all().PATH)
  t.eq(env.get "DEX_NO_SUCH_VARIABLE", nil)
  local uuid = require "dex.uuid"
  t.ok(uuid():match("^%x+%-%x%x%x%x%-4%x%x%x%-[89ab]%x%x%x%-%x+$"))
  t.eq(#uuid(), 36)
  t.ok(uuid() ~= uuid())
end)
