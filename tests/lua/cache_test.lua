local t = require "tap"
local cache = require "dex.cache"
local fs = require "dex.fs"

local root = os.tmpname()
os.remove(root)
fs.mkdirs(root)

local function path(name) return root .. "/" .. name end

local function write(texts)
  local writer = cache.writer(path "chunks")
  for i, text in ipairs(texts) do t.eq(writer:add(text), i - 1) end
  writer:finish()
  t.raises(function() writer:add "more" end, "closed")
end

t.test("chunks come back by their numbers", function()
  local big = ("0123456789"):rep(100000)
  write { "", "one", big, "\0two" }
  local file = cache.open(path "chunks")
  t.eq(file:count(), 4)
  t.eq(file:read(0), "")
  t.eq(file:read(1), "one")
  t.ok(file:read(2) == big)
  t.eq(file:read(3), "\0two")
  t.raises(function() file:read(4) end, "no chunk")
  t.raises(function() file:read(-1) end, "no chunk")
  file:compose(path "out", { "<", 1, 3, "|", 0, 1, ">" })
  t.ok(fs.read(path "out") == "<one" .. big .. "\0two|one>")
  t.raises(function() file:compose(path "out", { 3, 1 }) end, "ends before it begins")
  t.raises(function() file:compose(path "no/out", { "x" }) end, "cannot create")
  file:close()
  t.raises(function() file:read(1) end, "closed")
end)

t.test("a file stays whole for those who have opened it", function()
  write { "old" }
  local file = cache.open(path "chunks")
  write { "new" }
  t.eq(file:read(0), "old")
  t.eq(cache.open(path "chunks"):read(0), "new")
end)

t.test("what is not whole is nothing", function()
  write { "some text", "and more" }
  local whole = fs.read(path "chunks")
  for i = 1, #whole do
    fs.write(path "damaged", whole:sub(1, i - 1))
    t.eq(cache.open(path "damaged"), nil)
    fs.write(path "damaged", whole:sub(1, i - 1) .. string.char(whole:byte(i) ~ 4) .. whole:sub(i + 1))
    t.eq(cache.open(path "damaged"), nil)
  end
  fs.write(path "damaged", whole .. "x")
  t.eq(cache.open(path "damaged"), nil)
  t.eq(cache.open(path "nothing"), nil)
  t.eq(cache.open(root), nil)
end)

t.test("a file that is not finished leaves nothing", function()
  local writer = cache.writer(path "left")
  writer:add "text"
  writer:close()
  for _, name in ipairs(fs.list(root)) do t.ok(not name:find("left", 1, true)) end
  t.raises(function() cache.writer(path "no/file") end, "cannot create")
end)

-- What has changed since `ask` was watched.
local function after(ask, change)
  cache.watch()
  ask()
  local list = cache.watched()
  t.eq(#cache.changed(list), 0)
  change()
  return cache.changed(list)
end

t.test("other answers of the file system are noticed", function()
  fs.mkdirs(path "dir/sub")
  fs.write(path "dir/a", "one")
  local function read() fs.read(path "dir/a") end
  t.eq(#after(read, function() fs.write(path "dir/a", "one") end), 0) -- another file, the same content
  t.eq(after(read, function() fs.write(path "dir/a", "two") end), { path "dir/a" })
  t.eq(after(read, function() fs.remove_tree(path "dir/a") end), nil)
  fs.write(path "dir/a", "one")
  t.eq(after(function() fs.exists(path "dir/b") end, function() fs.write(path "dir/b", "") end), nil)
  t.eq(after(function() fs.walk(path "dir") end, function() fs.write(path "dir/sub/c", "") end), nil)
  t.eq(after(function() fs.walk(path "dir") end, function() fs.rename(path "dir/b", path "dir/d") end), nil)
  t.eq(after(function() fs.list(path "dir") end, function() fs.remove_tree(path "dir/d") end), nil)
  t.eq(after(function() fs.isdir(path "dir/sub") end, function() fs.remove_tree(path "dir/sub") end), nil)
  t.eq(after(function() fs.stat(path "dir/a") end, function() fs.append(path "dir/a", "+") end), nil)
  t.eq(after(function() pcall(fs.read, path "dir/none") end, function() fs.write(path "dir/none", "") end), nil)
  fs.symlink(path "dir", path "link")
  t.eq(after(function() fs.realpath(path "link") end, function()
    fs.remove_tree(path "link")
    fs.symlink(root, path "link")
  end), nil)
end)

t.test("a change within the same step of the clock, to the same size, is noticed", function()
  for i = 1, 200 do
    fs.write(path "quick", "before" .. i % 10)
    t.eq(#after(function() fs.read(path "quick") end, function() fs.update(path "quick", "after!" .. i % 10) end), 1)
  end
end)

t.test("what is no list of questions holds for nothing", function()
  cache.watch()
  fs.write(path "file", "x")
  fs.read(path "file")
  local list = cache.watched()
  t.eq(cache.watched(), nil)
  t.eq(cache.changed(""), nil)
  t.eq(cache.changed(list:sub(1, -2)), nil)
  t.eq(cache.changed(list .. "more"), nil)
end)

t.test("chunks are made of texts and of other files' chunks, and a file needs no name", function()
  local one = cache.unnamed(root)
  one:add "first"
  one:add ""
  one:add(("long"):rep(200000))
  one:finish()
  local file = one:file()
  local two = cache.unnamed(path "there is no such folder")
  t.eq(two:add_parts("<", file, 0, "|", file, 1, ">"), 0)
  t.eq(two:add_parts(file, 2), 1)
  t.eq(two:add_parts(), 2)
  t.raises(function() two:add_parts(file, 3) end, "no chunk")
  t.raises(function() two:add_parts(7) end, "dex.cache.file")
  t.eq(two:file(), nil)
  two:finish()
  local made = two:file()
  t.eq(made:count(), 3)
  t.eq(made:read(0), "<first|>")
  t.ok(made:read(1) == ("long"):rep(200000))
  t.eq(made:read(2), "")
  for _, name in ipairs(fs.list(root)) do t.ok(not name:find("dex-", 1, true)) end
end)

t.test("what another process has asked is asked again, too", function()
  fs.write(path "here", "1")
  fs.write(path "there", "1")
  cache.watch()
  fs.read(path "there")
  local theirs = cache.watched()
  cache.watch()
  fs.read(path "here")
  cache.watch_more(theirs)
  local list = cache.watched()
  t.eq(#cache.changed(list), 0)
  fs.write(path "there", "2")
  t.eq(table.concat(cache.changed(list), " "), path "there")
end)

fs.remove_tree(root)
