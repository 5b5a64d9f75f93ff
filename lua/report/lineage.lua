--- The lineage of selected nodes: as a tree for the terminal, and as a picture in SVG.

local members = require "project.members"

local M = {}

-- The selected nodes next to each node, through nodes that are not selected as well.
local function neighbours(project, ids)
  local selected, known = {}, {}
  for _, id in ipairs(ids) do selected[id] = true end
  local function below(id)
    if known[id] then return known[id] end
    local found, seen = {}, {}
    known[id] = found
    for _, child in ipairs(project.children[id] or {}) do
      for _, next_id in ipairs(selected[child] and { child } or below(child)) do
        if not seen[next_id] then
          seen[next_id] = true
          found[#found + 1] = next_id
        end
      end
    end
    table.sort(found)
    return found
  end
  local children, has_parent = {}, {}
  for _, id in ipairs(ids) do
    children[id] = below(id)
    for _, child in ipairs(children[id]) do has_parent[child] = true end
  end
  return children, has_parent
end

-- Unique ids of kind and name that a person reads: model orders, source shop.raw.
local function label_of(project, id)
  local node = members.get(project, id)
  local name = node.resource_type == "source" and node.source_name .. "." .. node.name or node.name
  return node.resource_type:gsub("_", " ") .. " " .. name, node
end

--- Lines of text: what nothing stands above, and below each node what is built from it. A node that has several
--- parents stands below each of them, what is below it only the first time.
---@param project dex.Project
---@param ids string[] unique_ids
---@return string[] lines
function M.tree(project, ids)
  local children, has_parent = neighbours(project, ids)
  local lines, shown = {}, {}
  local function add(id, first, rest)
    local again = shown[id] and #children[id] > 0
    lines[#lines + 1] = first .. label_of(project, id) .. (again and " (see above)" or "")
    if shown[id] then return end
    shown[id] = true
    for i, child in ipairs(children[id]) do
      local last = i == #children[id]
      add(child, rest .. (last and "└─ " or "├─ "), rest .. (last and "   " or "│  "))
    end
  end
  local roots = {}
  for _, id in ipairs(ids) do
    if not has_parent[id] then roots[#roots + 1] = id end
  end
  table.sort(roots)
  for _, id in ipairs(roots) do add(id, "", "") end
  return lines
end

-- The column of each node: one right of the last of its parents. `ids` are in graph order.
local function columns_of(ids, children)
  local column, rows = {}, {}
  for _, id in ipairs(ids) do column[id] = column[id] or 1 end
  for _, id in ipairs(ids) do
    for _, child in ipairs(children[id]) do column[child] = math.max(column[child], column[id] + 1) end
  end
  for _, id in ipairs(ids) do
    rows[column[id]] = rows[column[id]] or {}
    table.insert(rows[column[id]], id)
  end
  return rows
end

-- Puts each column's nodes near the middle of their parents', which leaves fewer crossings.
local function settle(rows, children)
  local place, parents = {}, {}
  for parent, list in pairs(children) do
    for _, child in ipairs(list) do
      parents[child] = parents[child] or {}
      table.insert(parents[child], parent)
    end
  end
  for _, list in ipairs(rows) do
    local weight = {}
    for i, id in ipairs(list) do
      local sum, count = 0, 0
      for _, parent in ipairs(parents[id] or {}) do sum, count = sum + place[parent], count + 1 end
      weight[id] = count > 0 and sum / count or i
    end
    table.sort(list, function(a, b)
      if weight[a] ~= weight[b] then return weight[a] < weight[b] end
      return a < b
    end)
    for i, id in ipairs(list) do place[id] = i end
  end
  return place
end

local colours = { source = "#5b8c5a", seed = "#8a6d3b", model = "#2f6fa7", snapshot = "#7a4fa0", exposure = "#c2622d",
  test = "#888888", unit_test = "#888888" }

local WIDTH, HEIGHT, GAP_X, GAP_Y, MARGIN = 190, 30, 60, 14, 16

local function escaped(text) return (text:gsub("[&<>\"]", { ["&"] = "&amp;", ["<"] = "&lt;", [">"] = "&gt;",
  ['"'] = "&quot;" })) end

local function shortened(text)
  if #text <= 28 then return text end
  return text:sub(1, 13) .. "…" .. text:sub(-13)
end

local function box(x, y, label, node)
  local colour = colours[node.resource_type] or "#555555"
  return ('<g><title>%s</title><rect x="%d" y="%d" width="%d" height="%d" rx="5" fill="%s"/>' ..
    '<text x="%d" y="%d">%s</text></g>'):format(escaped(label), x, y, WIDTH, HEIGHT, colour, x + 8, y + 19,
    escaped(shortened(node.name)))
end

--- A picture, left to right in the order of building.
---@param project dex.Project
---@param ids string[] unique_ids in graph order
---@return string svg
function M.svg(project, ids)
  local children = neighbours(project, ids)
  local rows = columns_of(ids, children)
  local place = settle(rows, children)
  local x_of, y_of, tallest = {}, {}, 1
  for c, list in ipairs(rows) do
    tallest = math.max(tallest, #list)
    for _, id in ipairs(list) do
      x_of[id] = MARGIN + (c - 1) * (WIDTH + GAP_X)
      y_of[id] = MARGIN + (place[id] - 1) * (HEIGHT + GAP_Y)
    end
  end
  local edges, boxes = {}, {}
  for _, id in ipairs(ids) do
    for _, child in ipairs(children[id]) do
      local x1, y1, x2, y2 = x_of[id] + WIDTH, y_of[id] + HEIGHT // 2, x_of[child], y_of[child] + HEIGHT // 2
      edges[#edges + 1] = ('<path d="M%d %d C%d %d %d %d %d %d"/>'):format(x1, y1, x1 + GAP_X // 2, y1,
        x2 - GAP_X // 2, y2, x2, y2)
    end
    boxes[#boxes + 1] = box(x_of[id], y_of[id], label_of(project, id))
  end
  local columns = math.max(#rows, 1)
  local width = 2 * MARGIN + columns * WIDTH + (columns - 1) * GAP_X
  local height = 2 * MARGIN + tallest * (HEIGHT + GAP_Y) - GAP_Y
  return ([[
<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %d %d" font-family="sans-serif">
<rect width="100%%" height="100%%" fill="#ffffff"/>
<g fill="none" stroke="#999999">
%s
</g>
<g font-size="12" fill="#ffffff" stroke="none">
%s
</g>
</svg>
]]):format(width, height, width, height, table.concat(edges, "\n"),
    (table.concat(boxes, "\n"):gsub("<text ", '<text fill="#ffffff" ')))
end

return M
