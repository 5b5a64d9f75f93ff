--- What the history tells about many runs: methods of lua/state/init.lua's store.

local M = {}

--- How long a node took, the newest run first.
---@param node_id string
---@param limit? integer 50
---@return {run_id: string, status: string, started_at: integer, duration: integer|nil, rows: integer|nil, attempt:
---  integer, command: string|nil, message: string|nil}[]
function M:durations(node_id, limit)
  return self.db:rows([[select runs.id as run_id, runs.command, tasks.status, tasks.started_at, tasks.rows,
      tasks.attempt, tasks.message, tasks.ended_at - tasks.started_at as duration
    from tasks join runs on runs.seq = tasks.run
    where tasks.node = (select id from nodes where unique_id = ?1) and tasks.started_at is not null
    order by tasks.run desc limit ?2]], node_id, limit or 50)
end

--- How each node ended, or stands, in the last run that had it.
---@return table<string, {run_id: string, status: string, started_at: integer|nil, ended_at: integer|nil}> by unique_id
function M:latest_nodes()
  local found = {}
  for _, row in ipairs(self.db:rows [[select nodes.unique_id, runs.id as run_id, tasks.status, tasks.started_at,
      tasks.ended_at
    from nodes cross join tasks on tasks.node = nodes.id
      and tasks.run = (select max(run) from tasks where node = nodes.id)
    cross join runs on runs.seq = tasks.run]]) do -- in this order: the planner would begin with all runs
    found[row.unique_id] = row
  end
  return found
end

--- How long the runs of a flow, an operation or a command took, the newest first.
---@param kind "flow"|"operation"|"command"
---@param name string
---@param limit? integer 50
---@return {run_id: string, status: string, started_at: integer, duration: integer|nil}[]
function M:run_durations(kind, name, limit)
  return self.db:rows([[select id as run_id, status, started_at, ended_at - started_at as duration from runs
    where kind = ?1 and name = ?2 and started_at is not null order by seq desc limit ?3]], kind, name, limit or 50)
end

--- What took longest altogether, of runs that have ended.
---@param filter {kind: "node"|"hook", since: integer|nil, limit: integer|nil} `since` a time, whole days; `limit` 20
---@return {name: string, count: integer, failed: integer, total: integer, mean: integer, longest: integer}[]
function M:slowest(filter)
  return self.db:rows([[select name, sum(count) as count, sum(failed) as failed, sum(total) as total,
      sum(total) / sum(count) as mean, max(longest) as longest
    from spent where kind = ?1 and day >= ?2 group by name order by total desc, name limit ?3]],
    filter.kind, (filter.since or 0) // 86400000000, filter.limit or 20)
end

--- Tasks that failed, the newest first.
---@param filter? {since: integer|nil, limit: integer|nil} `limit` 50
---@return {run_id: string, run_kind: string, run_name: string|nil, task: string, node_id: string|nil, status: string,
---  started_at: integer|nil, ended_at: integer|nil, message: string|nil}[]
function M:failures(filter)
  filter = filter or {}
  return self.db:rows([[select runs.id as run_id, runs.kind as run_kind, runs.name as run_name, runs.command,
      tasks.name as task, nodes.unique_id as node_id, tasks.status, tasks.started_at, tasks.ended_at, tasks.message
    from tasks join runs on runs.seq = tasks.run left join nodes on nodes.id = tasks.node
    where tasks.status in ('failed', 'timed_out')
      and tasks.run >= coalesce((select seq from runs where created_at >= ?1 order by created_at limit 1),
        9223372036854775807)
    order by tasks.run desc, tasks.position limit ?2]], filter.since or 0, filter.limit or 50)
end

return M
