--- Help pages, made from the option table, 80 columns wide.

local options = require "help.options"

local M = {}

local width = 80

--- Words of text in lines of at most 80 columns, all but the first indented.
---@param text string
---@param indent integer where the text begins
---@return string
function M.wrap(text, indent)
  local lines, line = {}, ""
  for word in text:gmatch("%S+") do
    if #line > 0 and #line + 1 + #word > width - indent then
      lines[#lines + 1] = line
      line = word
    else
      line = #line > 0 and (line .. " " .. word) or word
    end
  end
  lines[#lines + 1] = line
  return table.concat(lines, "\n" .. (" "):rep(indent))
end

local wrap = M.wrap

local function option_row(option)
  local left = option.short and ("-" .. option.short .. ", ") or "    "
  left = left .. "--" .. (option.negatable and "[no-]" or "") .. option.name
  if option.arg then left = left .. " " .. option.arg .. (option.many and "..." or "") end
  return left
end

local function option_help(option)
  local notes = {}
  if option.default and option.arg then notes[#notes + 1] = "default " .. option.default end
  if option.env then notes[#notes + 1] = option.env end
  if #notes == 0 then return option.help end
  return option.help .. " [" .. table.concat(notes, "; ") .. "]"
end

local function rows(list, column)
  local out = {}
  for _, row in ipairs(list) do
    local left = "  " .. row[1]
    local pad = #left < column - 1 and (" "):rep(column - #left) or ("\n" .. (" "):rep(column))
    out[#out + 1] = left .. pad .. wrap(row[2], column)
  end
  return table.concat(out, "\n")
end

--- The first page: what there is.
---@return string
function M.overview()
  local list = {}
  for _, command in ipairs(options.commands) do list[#list + 1] = { command.name, command.summary } end
  return table.concat({
    wrap("dex-lua runs a folder of SQL models as a graph on PostgreSQL, with hooks around every step. " ..
      "Projects written for dbt run unchanged.", 0),
    "",
    "Usage: dex-lua COMMAND [OPTIONS]",
    "",
    "Commands:",
    rows(list, 14),
    "",
    "`dex-lua COMMAND --help` shows a command's options.",
    "",
    "Topics, for `dex-lua help TOPIC`:",
    rows(require("help.topics").list(), 18),
    "",
    "Exit status:",
    rows({
      { "0", "All went well" },
      { "1", "A node, test, hook or operation failed" },
      { "2", "The command line or the project is wrong, or there is no connection" },
      { "128 + N", "Ended by signal N" },
    }, 14),
    "",
  }, "\n")
end

-- The command's options under titles: its own first, --help last.
local function sections(command)
  local title_of, found, others = {}, { Options = {} }, {}
  for _, group in ipairs(options.groups) do
    found[group.title] = {}
    for _, name in ipairs(group.names) do title_of[name] = group.title end
  end
  for _, option in ipairs(options.of(command)) do
    local title = title_of[option.name] or "Options"
    if option.ignored then
      others[#others + 1] = "--" .. option.name
    elseif not option.refused then
      table.insert(found[title], { option_row(option), option_help(option) })
    end
  end
  local out = { { title = "Options", rows = found.Options } }
  for _, group in ipairs(options.groups) do
    if #found[group.title] > 0 then out[#out + 1] = { title = group.title, rows = found[group.title] } end
  end
  return out, others
end

--- The page of one command.
---@param command table of help/options.lua
---@return string
function M.command(command)
  local out = {}
  local function add(text) out[#out + 1] = text end
  add("Usage: dex-lua " .. command.name .. (command.args and (" " .. command.args) or "") .. " [OPTIONS]\n")
  add(command.summary .. ".\n")
  if command.text then add(wrap(command.text, 0) .. "\n") end
  if command.actions then add("Actions:\n" .. rows(command.actions, 30) .. "\n") end
  if command.aliases then add("Also called: " .. table.concat(command.aliases, ", ") .. "\n") end
  local list, others = sections(command)
  for _, section in ipairs(list) do add(section.title .. ":\n" .. rows(section.rows, 30) .. "\n") end
  if #others > 0 then
    add(wrap("Accepted for scripts written for dbt, without effect: " .. table.concat(others, ", "), 0) .. "\n")
  end
  if command.examples then
    add("Examples:")
    for _, example in ipairs(command.examples) do add("  " .. example) end
  end
  return table.concat(out, "\n") .. "\n"
end

return M
