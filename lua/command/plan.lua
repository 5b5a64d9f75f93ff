--- `dex-lua plan [run|build|test|seed|snapshot]`: exactly the list that the command would run, hooks included. Reads
-- files; asks no database and runs nothing.

local err = require "err"
local json = require "dex.json"
local run_plan = require "run.plan"
local term = require "dex.term"
local value = require "jinja.value"

local M = {}

local opt = value.opt

--- The commands that can be planned.
M.commands = { run = true, build = true, test = true, seed = true, snapshot = true }

local function title(index, item)
  local node = item.node
  local after = {}
  for _, dep in ipairs(item.deps) do after[#after + 1] = dep end
  table.sort(after)
  local made = opt(node.relation_name) and (" -> " .. node.relation_name) or ""
  local kind = opt(node.config.materialized)
  local waits = #after > 0 and (", after " .. table.concat(after, ", ")) or ""
  return ("%d. %s %s%s%s%s"):format(index, item.kind, node.name,
    kind and kind ~= item.kind and (" (%s)"):format(kind) or "", made, waits)
end

local function as_json(item, index)
  local node, after = item.node, value.list()
  for i, dep in ipairs(item.deps) do after[i] = dep end
  return json.encode(value.dict("step", index, "unique_id", item.id, "kind", item.kind, "materialized",
    value.or_none(opt(node.config.materialized)), "relation", value.or_none(opt(node.relation_name)), "after", after))
end

--- Prints the plan.
---@param job table of lua/pipeline.lua
---@return integer status
function M.run(job)
  local which = job.words[1] or "build"
  if not M.commands[which] or job.words[2] then
    err.raise { code = 101, message = "plan takes one of run, build, test, seed, snapshot",
      hint = err.did_you_mean(which, { "run", "build", "test", "seed", "snapshot" }) }
  end
  local steps = require "command.steps"
  local builds = steps.builds[which]
  local nodes = run_plan.make(job.project, steps.selection(job, builds.types, builds.more_types), which == "build")
  local index, out = 0, {}
  local lines = require("command.hooks").lines(job, which, nodes, function(item)
    index = index + 1
    return title(index, item)
  end)
  if job.given.output == "json" then
    for i, item in ipairs(nodes) do out[i] = as_json(item, i) end
  else
    out[1] = ("dex-lua %s would run %d nodes on target %s, %d at once"):format(which, #nodes,
      tostring(job.project.profile.target_name), job.project.profile.threads)
  end
  table.move(lines, 1, #lines, #out + 1, out)
  term.write(1, table.concat(out, "\n") .. "\n")
  return 0
end

return M
