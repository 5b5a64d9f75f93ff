--- `dex-lua db start|stop|status|psql|destroy`: the project's private PostgreSQL.

local err = require "err"

local M = {}

local actions = {}

local function describe(job, state)
  local out = function(text) job.report:log("print", text) end
  if state.running then
    out(("running: pid %d, socket %s, PostgreSQL %s%s"):format(state.pid, state.socket, state.version or "?",
      state.kept and ", kept running until `dex-lua db stop`" or ""))
  elseif state.exists then
    out("stopped: data in " .. state.data)
  else
    out("no server yet: it is created by the first command that needs it, or `dex-lua db start`")
  end
end

function actions.start(job, server)
  server:start()
  describe(job, server:status())
  return 0
end

function actions.stop(job, server)
  job.report:log("print", server:stop() and "stopped" or "it was not running")
  return 0
end

function actions.status(job, server)
  local state = server:status()
  describe(job, state)
  return state.running and 0 or 1
end

function actions.psql(job, server)
  server:ensure()
  job.closers[#job.closers + 1] = function() server:release() end
  return server:psql(job.rest)
end

function actions.destroy(job, server)
  job.report:log("print", server:destroy() and "destroyed: the data is gone" or "there was no server")
  return 0
end

--- Runs one of the actions. May wait.
function M.run(job)
  local name = job.words[1]
  local action = name and actions[name]
  if not action or job.words[2] then
    err.raise { code = 101, message = "db needs one of start, stop, status, psql, destroy",
      hint = name and err.did_you_mean(name, { "start", "stop", "status", "psql", "destroy" }) or nil }
  end
  local root = require("project.root").load(job.given.project_dir or ".", job.given)
  return action(job, require("dex.db").private { dir = root.dir })
end

return M
