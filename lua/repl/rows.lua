--- The rows of a query at the prompt: `rows[1].n` and `#rows` as in hooks, shown as a table, a page at a time. Of a
-- very large result only a part is there, and a cursor gives the next when it is asked for.


local M = {}

--- Rows that a page shows, and rows that are read at once.
M.page = 40
M.batch = 10000

-- rows -> {result = userdata, fetch = function or nil, shown = rows that were shown of it, before = rows of the parts
-- before}
local known = setmetatable({}, { __mode = "k" })

--- Rows of a result.
---@param result userdata a dex.db result
---@param fetch nil|fun(): userdata|nil gives the next part, nil behind the last; may wait
---@return table rows as lua/run/hook_rows.lua makes them
function M.new(result, fetch)
  local rows = require("run.hook_rows").all(result)
  known[rows] = { result = result, fetch = fetch, shown = 0, before = 0 }
  return rows
end

--- What the server said of the statement, such as "INSERT 0 1".
---@return string|nil
function M.status(rows) return known[rows] and known[rows].result.status end

--- Whether there are more rows than those that were read.
function M.is_partial(rows) return known[rows].fetch ~= nil end

--- Whether a value is such rows.
function M.is(v) return known[v] ~= nil end

-- A part of a result, for the table.
local function slice(result, from, to)
  return setmetatable({ columns = result.columns, get = function(_, r, c) return result:get(from + r - 1, c) end,
    text = function(_, r, c) return result:text(from + r - 1, c) end }, { __len = function() return to - from + 1 end })
end

-- The next page, and what there is behind it.
local function page(own, room)
  local total = #own.result
  local from, to = own.shown + 1, math.min(own.shown + M.page, total)
  local text = require("report.grid").table(slice(own.result, from, to), room)
  own.shown = to
  local all = own.before + total
  if to < total or own.fetch then
    return ("%s\nrows %d to %d of %d%s: .more shows the next"):format(text, own.before + from, own.before + to, all,
      own.fetch and " or more" or "")
  elseif own.before + from > 1 then
    return ("%s\nrows %d to %d of %d"):format(text, own.before + from, all, all)
  end
  return ("%s\n%d row%s"):format(text, all, all == 1 and "" or "s")
end

--- The first page as text, and how many rows there are.
---@param rows table
---@param room integer
---@return string
function M.first_page(rows, room)
  local own = known[rows]
  own.shown = 0
  M.last = own
  return page(own, room)
end

--- The page behind the one that was shown last; nil when there is none. May wait.
---@param room integer
---@return string|nil
function M.more(room)
  local own = M.last
  if not own then return nil end
  if own.shown == #own.result then
    local result = own.fetch and own.fetch()
    if not result or #result == 0 then
      M.last = nil
      return nil
    end
    if #result < M.batch then own.fetch = nil end
    own.before, own.result, own.shown = own.before + #own.result, result, 0
  end
  return page(own, room)
end

return M
