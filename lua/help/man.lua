--- The man page, made from the option table: `dex-lua help man`, dex-lua(1) of `make install`.

local core = require "dex.core"
local options = require "help.options"

local M = {}

-- Text as roff takes it: no line begins with a dot or a quote.
local function roff(text)
  text = text:gsub("\\", "\\e"):gsub("%-", "\\-")
  return (text:gsub("^([.'])", "\\&%1"):gsub("\n([.'])", "\n\\&%1"))
end

local function option_title(option)
  local parts = {}
  if option.short then parts[1] = ("\\fB\\-%s\\fR"):format(option.short) end
  local name = roff((option.negatable and "--[no-]" or "--") .. option.name)
  parts[#parts + 1] = ("\\fB%s\\fR%s"):format(name, option.arg and (" \\fI" .. roff(option.arg) .. "\\fR") or "")
  return table.concat(parts, ", ")
end

local function option_entry(option)
  local help = roff(option.help)
  if option.choices then help = help .. ": " .. roff(table.concat(option.choices, ", ")) end
  if option.default ~= nil and option.arg then
    help = ("%s (default %s)"):format(help, roff(tostring(option.default)))
  end
  if option.env then help = help .. (" [%s]"):format(roff(option.env)) end
  return (".TP\n%s\n%s.\n"):format(option_title(option), help)
end

-- Options that several commands have stand once, behind the commands.
local function counts()
  local found = {}
  for _, command in ipairs(options.commands) do
    for _, name in ipairs(command.options) do found[name] = (found[name] or 0) + 1 end
  end
  return found
end

local function command_section(command, shared, add)
  add((".SS \\fB%s\\fR %s\n%s.\n"):format(roff(command.name), roff(command.args or ""), roff(command.summary)))
  if command.text then add(".PP\n" .. roff(command.text) .. "\n") end
  for _, action in ipairs(command.actions or {}) do
    add((".TP\n\\fB%s\\fR\n%s.\n"):format(roff(action[1]), roff(action[2])))
  end
  for _, option in ipairs(options.of(command)) do
    if (shared[option.name] or 0) == 1 or option.only then add(option_entry(option)) end
  end
  if command.examples then
    add(".PP\nExamples:\n.nf\n" .. roff("  " .. table.concat(command.examples, "\n  ")) .. "\n.fi\n")
  end
end

--- The page in roff.
---@return string
function M.page()
  local out, shared = {}, counts()
  local function add(text) out[#out + 1] = text end
  add((".TH DEX\\-LUA 1 \"\" \"dex\\-lua %s\"\n"):format(roff(core.version)))
  add(".SH NAME\ndex\\-lua \\- runs a folder of SQL models as a graph on PostgreSQL\n")
  add(".SH SYNOPSIS\n\\fBdex\\-lua\\fR \\fICOMMAND\\fR [\\fIOPTIONS\\fR]\n")
  add(".SH DESCRIPTION\nSQL models, seeds, snapshots and tests in one graph, with hooks around every step.\n" ..
    "Projects written for dbt run unchanged.\n")
  add(".SH COMMANDS\n")
  for _, command in ipairs(options.commands) do command_section(command, shared, add) end
  add(".SH COMMON OPTIONS\n")
  for _, option in ipairs(options.options) do
    if (shared[option.name] or 0) > 1 and not option.only then add(option_entry(option)) end
  end
  add(".SH ENVIRONMENT\nA variable DEX_X is stronger than DBT_ENGINE_X and DBT_X. A command line is stronger than\n" ..
    "the environment, and that than `flags:` of the project file.\n")
  add(".SH EXIT STATUS\n0 when all went well, 1 when a node, test, hook or operation failed, 2 when the command\n" ..
    "line or the project is wrong or there is no connection, 128 + N when ended by signal N.\n")
  add(".SH TOPICS\n")
  for _, row in ipairs(require("help.topics").list()) do
    add((".TP\n\\fBdex\\-lua help %s\\fR\n%s\n"):format(roff(row[1]), roff(row[2])))
  end
  return table.concat(out)
end

return M
