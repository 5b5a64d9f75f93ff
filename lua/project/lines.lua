--- Where in its file something of a YAML value was written. dex.yaml gives a table of line numbers by
-- container and key; copies of containers (rendered, merged) take their lines along.

local M = {}

--- The line of a key or list item, or of the container when the key has none; nil when unknown.
---@param lines table|nil second result of dex.yaml.decode
---@param container any
---@param key? any
---@return integer|nil
function M.of(lines, container, key)
  local known = lines and type(container) == "table" and lines[container]
  if not known then return nil end
  return (key ~= nil and known[key]) or known[0]
end

--- Makes a copy of a container known at the lines of the original.
function M.carry(lines, from, to)
  if lines and lines[from] then lines[to] = lines[from] end
  return to
end

return M
