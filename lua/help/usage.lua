--- Help pages, made from the option table, 80 columns wide.

local options = require "help.options"

local M = {}

local width = 80

-- Words of text in lines of at most `width` columns, all but the first indented.
local function wrap(text, indent)
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

local function rows(list)
  local out = {}
  local column = 30
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
    rows(list),
    "",
    "`dex-lua COMMAND --help` shows a command's options.",
    "",
    wrap("Exit status: 0 all went well; 1 a node, test, hook or operation failed; 2 the command line or the " ..
      "project is wrong, or there is no connection; 128 + N ended by signal N.", 0),
    "",
  }, "\n")
end

--- The page of one command.
---@param command table of help/options.lua
---@return string
function M.command(command)
  local out = {}
  local function add(text) out[#out + 1] = text end
  add("Usage: dex-lua " .. command.name .. (command.args and (" " .. command.args) or "") .. " [OPTIONS]")
  add("")
  add(command.summary .. ".")
  if command.text then
    add("")
    add(wrap(command.text, 0))
  end
  if command.aliases then
    add("")
    add("Also called: " .. table.concat(command.aliases, ", "))
  end
  add("")
  add("Options:")
  local list = {}
  for _, option in ipairs(options.of(command)) do list[#list + 1] = { option_row(option), option_help(option) } end
  add(rows(list))
  if command.examples then
    add("")
    add("Examples:")
    for _, example in ipairs(command.examples) do add("  " .. example) end
  end
  add("")
  return table.concat(out, "\n")
end

return M
