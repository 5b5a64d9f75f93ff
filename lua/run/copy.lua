--- COPY ... FROM STDIN on a connection, from a file or from a function.

local M = {}

--- Copies rows in. Memory is constant. May wait. Raises code 401 for what the server refuses, and what the
--- source raises; nothing is copied then.
---@param conn userdata of dex.db
---@param sql string the COPY statement
---@param source {file: string, from: integer}|fun(): string|nil a file from a byte offset on, or pieces of any
---  size until nil; the function may wait
---@param pausing? table gets `pause`, a function that the source calls before it uses the connection itself: the
---  COPY is ended, and begun anew for the next piece. Inside a transaction only, or the pieces would be committed
---@return integer rows
function M.into(conn, sql, source, pausing)
  if type(source) == "table" then return conn:copy_file(sql, source.file, source.from) end
  local rows, is_open = 0, false
  local function pause()
    if is_open then
      is_open = false
      rows = rows + conn:copy_end()
    end
  end
  if pausing then pausing.pause = pause end
  local function open()
    if not is_open then
      conn:copy_begin(sql)
      is_open = true
    end
  end
  open() -- what is wrong with the statement is told before the source begins
  local ok, piece
  repeat
    ok, piece = pcall(source)
    if ok and piece then
      open()
      conn:copy_put(piece)
    end
  until not ok or not piece
  if pausing then pausing.pause = nil end
  if ok then
    pause()
    return rows
  end
  -- the server is told to forget what it got; its error says nothing that the source's does not
  if is_open then pcall(conn.copy_end, conn, "the source of the rows failed") end
  error(piece, 0)
end

return M
