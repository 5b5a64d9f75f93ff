--- COPY ... FROM STDIN on a connection, from a file or from a function.

local M = {}

--- Copies rows in. Memory is constant. May wait. Raises code 401 for what the server refuses, and what the
--- source raises; nothing is copied then.
---@param conn userdata of dex.db
---@param sql string the COPY statement
---@param source {file: string, from: integer}|fun(): string|nil a file from a byte offset on, or pieces of any
---  size until nil; the function may wait
---@return integer rows
function M.into(conn, sql, source)
  if type(source) == "table" then return conn:copy_file(sql, source.file, source.from) end
  conn:copy_begin(sql)
  local ok, piece
  repeat
    ok, piece = pcall(source)
    if ok and piece then conn:copy_put(piece) end
  until not ok or not piece
  if ok then return conn:copy_end() end
  -- the server is told to forget what it got; its error says nothing that the source's does not
  pcall(conn.copy_end, conn, "the source of the rows failed")
  error(piece, 0)
end

return M
