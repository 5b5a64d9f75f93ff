--- Sorting with Python's order and stability. A merge sort of our own: table.sort is not stable, and a key or an order
-- that comes from a template may wait, which no C comparator allows.

local ops = require "jinja.ops"

local M = {}

local function merge(a, keys, first, middle, last, spare, spare_keys, before)
  table.move(a, first, last, first, spare)
  table.move(keys, first, last, first, spare_keys)
  local i, j, k = first, middle + 1, first
  while i <= middle and j <= last do
    -- the later one goes first only when it is really smaller
    if before(spare_keys[j], spare_keys[i]) then
      a[k], keys[k] = spare[j], spare_keys[j]
      j = j + 1
    else
      a[k], keys[k] = spare[i], spare_keys[i]
      i = i + 1
    end
    k = k + 1
  end
  while i <= middle do
    a[k], keys[k] = spare[i], spare_keys[i]
    i, k = i + 1, k + 1
  end
  while j <= last do
    a[k], keys[k] = spare[j], spare_keys[j]
    j, k = j + 1, k + 1
  end
end

--- Sorts an array in place by `key` (nil for the items themselves).
---@param a table
---@param key function|nil
---@param reverse boolean|nil
---@param less (fun(a: any, b: any): boolean)|nil whether the first of two keys comes first; default: `<`
function M.sort(a, key, reverse, less)
  local n = #a
  local keys = {}
  for i = 1, n do
    if key then keys[i] = key(a[i]) else keys[i] = a[i] end
  end
  less = less or ops.lt
  local before = reverse and function(x, y) return less(y, x) end or less
  local items = table.move(a, 1, n, 1, {})
  local spare, spare_keys = {}, {}
  local width = 1
  while width < n do
    for first = 1, n - width, 2 * width do
      local middle = first + width - 1
      merge(items, keys, first, middle, math.min(middle + width, n), spare, spare_keys, before)
    end
    width = width * 2
  end
  for i = 1, n do rawset(a, i, items[i]) end
  return a
end

return M
