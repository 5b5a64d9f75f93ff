--- The live page and its API over HTTP. A request passes, in this order: the server of dex.web (form, size, time, the
-- name that it was sent to), the page's files, the token, the origin, the route, the role, the shapes of query and
-- body, and its handler; what changes something is written to the audit log however it ended.

local err = require "err"
local fs = require "dex.fs"
local json = require "dex.json"
local router = require "server.router"
local time = require "dex.time"
local value = require "jinja.value"
local web = require "dex.web"

local M = {}

local BODY_LIMIT = 1048576

local Http = {}
Http.__index = Http

local api_fields = { { "Content-Type", "application/json" }, { "Cache-Control", "no-store" },
  { "X-Content-Type-Options", "nosniff" }, { "Referrer-Policy", "no-referrer" }, { "X-Frame-Options", "DENY" },
  { "Cross-Origin-Resource-Policy", "same-origin" },
  { "Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'" } }

--- The fields of an answer of the API, and more of them.
---@param more? string[][]
---@return string[][]
function M.fields(more)
  if not more then return api_fields end
  local all = table.move(api_fields, 1, #api_fields, 1, {})
  return table.move(more, 1, #more, #all + 1, all)
end

-- Errors -------------------------------------------------------------------------------------------------

-- The status of what handlers raise, where the error does not bring one: by its code, else by its hundred.
local by_code = { [101] = 422, [301] = 422, [403] = 503, [602] = 422, [603] = 409, [616] = 404,
  [650] = 503, [651] = 503, [652] = 503, [655] = 404, [656] = 409, [670] = 400, [671] = 401, [672] = 403,
  [673] = 403, [674] = 404, [675] = 409, [676] = 422, [907] = 503 }
local by_hundred = { 409, 422, 422, 422, 422, 422, 500, 500, 500 }

local function status_of(e) return e.status or by_code[e.code] or by_hundred[e.code // 100] or 500 end

local function error_body(e)
  local body = value.dict("code", e.code, "message", e.message)
  for _, key in ipairs { "hint", "file", "line", "node", "sqlstate" } do
    if e[key] ~= nil then body[key] = e[key] end
  end
  return value.dict("error", body)
end

-- A defect of ours is told in the server's log, and to the client only that it is one.
local function explained(self, e, request)
  if e.code < 900 or e.code == 907 or e.explained then return e end
  self.report:log("error", ("%s %s: %s"):format(request.method, request.path, tostring(e)))
  if e.traceback then self.report:log("debug", e.traceback) end
  return err.new { code = e.code, explained = true,
    message = "this is a defect of dex-lua; the server's log says more" }
end

-- Requests -----------------------------------------------------------------------------------------------

-- A page of another site sends its own address along with what changes something.
local function check_origin(request)
  local origin, host = request.headers.origin, request.headers.host
  local site = request.headers["sec-fetch-site"]
  local foreign = origin and origin:match "^https?://(.*)$" ~= host
    or site and site ~= "same-origin" and site ~= "none"
  if foreign then
    err.raise { code = 673, message = "a page of another site may change nothing here",
      hint = "behind a proxy, pass the field Host on as it came" }
  end
end

local function check_who(self, request)
  local who = self.tokens:of(request.headers.authorization)
  if not who then
    err.raise { code = 671, message = request.headers.authorization and "the token is none of this project's"
      or "a token is needed", hint = "send Authorization: Bearer TOKEN; .dex/token has the owner's" }
  end
  return who
end

-- What a person gave is shown with the run: there secret parameters are known.
local not_in_audit = { parameters = true, vars = true }

-- What was asked for, and which run came of it or why it was refused.
local function audit_data(self, route, params, body, result, failure)
  local data = value.dict()
  for name, v in pairs(params) do
    if name ~= route.subject then data[name] = v end
  end
  for name, v in pairs(body or {}) do
    if not not_in_audit[name] then data[name] = v end
  end
  if failure then
    data.code, data.message = failure.code, failure.message
  elseif value.is_dict(result) and result.id then -- of a run: nothing else that is changed has one
    data.run_id = result.id
  end
  return require("run.secrets").masked(data, function(text) return self:mask(text) end)
end

-- What was done is done: that it cannot be written down is told in the log.
local function add_audit(self, route, who, params, ...)
  local failure = select(3, ...)
  local entry = { who = who.name, role = who.role, action = route.audit,
    subject = route.subject and params[route.subject] or nil, outcome = failure and "refused" or "accepted",
    data = audit_data(self, route, params, ...) }
  local ok, e = pcall(self.store.add_audit, self.store, entry)
  if not ok then
    self.report:log("error", ("the audit log lacks '%s' by %s: %s"):format(route.audit, who.name, tostring(e)))
  end
end

-- Calls a handler for somebody who may. Gives what the route gives; `asked.body` is what was asked for.
local function call(self, route, request, answer, who, params, asked)
  if route.method ~= "GET" then
    check_origin(request)
    if not require("server.auth").roles[who.role].run then
      err.raise { code = 672, message = ("the token '%s' may look and change nothing"):format(who.name),
        hint = "its role is view; `dex-lua serve token add NAME --role run` makes one that may" }
    end
  end
  local query, body = router.read(route, request)
  asked.body = body
  return route.handler { server = self, params = params, query = query, body = body, who = who, answer = answer,
    headers = request.headers }
end

local function handle_api(self, request, answer)
  local who = check_who(self, request)
  local route, params = router.find(request.method, router.segments(request.path))
  if not route then
    local methods = params
    if #methods == 0 then
      err.raise { code = 674, message = "the API has nothing at " .. request.path, hint = "GET /api/openapi.json" }
    end
    methods[#methods + 1] = "OPTIONS"
    local fields = M.fields { { "Allow", (table.concat(methods, ", "):gsub("GET", "GET, HEAD")) } }
    if request.method == "OPTIONS" then return 204, fields, "", who end
    return 405, fields, self:encode(error_body { code = 670, message = request.method .. " is not for this address" }),
      who
  end
  local asked = {}
  local ok, result = pcall(call, self, route, request, answer, who, params, asked)
  local failure = not ok and explained(self, err.wrap(result), request) or nil
  if route.audit then add_audit(self, route, who, params, asked.body, result, failure) end
  if failure then error(failure, 0) end
  if result == nil then return nil, nil, nil, who end -- a stream, which has ended
  return route.status, api_fields, type(result) == "string" and result or self:encode(result), who
end

local function page_not_found()
  err.raise { code = 674, message = "there is no such page" }
end

local function handle_page(self, request, answer)
  if request.method ~= "GET" and request.method ~= "HEAD" then
    return answer:reply(405, M.fields { { "Allow", "GET, HEAD" } },
      self:encode(error_body { code = 670, message = request.method .. " is not for pages" }))
  end
  local page = self.page
  local found = page and page.find(request.path)
  if not found then page_not_found() end
  local fields = { { "Content-Type", found.type }, { "Cache-Control", found.cache } }
  table.move(page.HEADERS, 1, #page.HEADERS, 3, fields)
  answer:reply(200, fields, found.body)
end

local function is_api(path) return path == "/api" or path:sub(1, 5) == "/api/" end

function Http:handle(request, answer)
  local started = time.mono()
  local ok, status, fields, body, who = pcall(function()
    if is_api(request.path) then return handle_api(self, request, answer) end
    handle_page(self, request, answer)
  end)
  if not ok then
    local e = explained(self, err.wrap(status), request)
    status, body = status_of(e), self:encode(error_body(e))
    fields = status == 401 and M.fields { { "WWW-Authenticate", "Bearer" } } or api_fields
  end
  if body then answer:reply(status, fields, body) end
  self.report:log("debug", ("%s %s %s %s %.1f ms"):format(request.method, request.path,
    status and tostring(status) or "-", who and who.name or "-", (time.mono() - started) * 1000))
end

-- Masking ------------------------------------------------------------------------------------------------

-- The secrets of the environment, and those of the profile once the project is loaded.
function Http:mask(text)
  return require("run.secrets").masker(self.loaded:secrets_of())(text)
end

--- An answer as JSON, without secrets.
---@param content any
---@return string
function Http:encode(content)
  local text = json.encode(content, { compact = true })
  local secrets = require "run.secrets"
  local holder = self.loaded:secrets_of()
  for _, secret in ipairs(self.loaded:secret_texts()) do
    if text:find(secret, 1, true) then
      return json.encode(secrets.masked(content, secrets.masker(holder)), { compact = true })
    end
  end
  return text
end

-- The server ---------------------------------------------------------------------------------------------

local function address_of(listen)
  local host, port = listen:match "^%[([%x:.]+)%]:(%d+)$"
  if not host then host, port = listen:match "^([^:]+):(%d+)$" end
  if not host and listen:find "^%d+$" then host, port = "127.0.0.1", listen end
  port = port and math.tointeger(tonumber(port))
  if not port or port > 65535 then
    err.raise { code = 101, message = ("--listen needs an address and a port, not '%s'"):format(listen),
      hint = "such as 127.0.0.1:8642 or [::1]:8642; port 0 takes any free one" }
  end
  return host, port
end

local function is_loopback(host) return host:find "^127%." ~= nil or host == "::1" end

local function listen(self, opts)
  local host, port = address_of(opts.listen or "127.0.0.1:8642")
  local ok, server = pcall(web.listen, { host = host, port = port, body = BODY_LIMIT,
    handler = function(request, answer) self:handle(request, answer) end })
  if not ok then
    local e = err.wrap(server)
    if e.code == 110 then
      e.hint = e.hint or "--listen names another address; port 0 takes any free one"
    end
    error(e, 0)
  end
  for _, name in ipairs(opts.job.given.allow_host or {}) do server:allow(name) end
  if not is_loopback(host) then
    opts.job.report:log("warn", ("%s can be reached from other machines, unencrypted: let a proxy with TLS stand " ..
      "before it (`dex-lua help api`)"):format(opts.listen))
  end
  self.url = ("http://%s:%d/"):format(host:find(":", 1, true) and "[" .. host .. "]" or host, server:port())
  return server
end

--- The address of the page with the owner's token, which lets a browser in: for the owner's eyes only.
---@return string
function Http:entrance() return self.url .. "#token=" .. self.tokens:owner() end

--- A file that leads a browser to the page with the owner's token, which only the owner may read: so the token stands
--- in no command line, which everybody on the machine may see.
---@return string path
function Http:open_file()
  local url = self:entrance()
  self.opened = require("server.auth").write_private(self.root, "open.html", ([[<!doctype html>
<meta charset="utf-8"><meta name="referrer" content="no-referrer"><title>dex-lua</title>
<meta http-equiv="refresh" content="0;url=%s"><a href="%s">dex-lua</a>
]]):format(url, url))
  return self.opened
end

--- Takes no more requests and closes every connection.
function Http:close()
  if self.opened then fs.remove_tree(self.opened) end
  self.events:close()
  self.server:close()
  self.loaded:close()
end

--- Serves the page and the API of a project until it is closed. The owner's token is made when there is none. Raises
--- 110 when the address cannot be had, 678 when the file of tokens is not to be trusted. Does not wait.
---@param opts {job: table, root: string, store: dex.Store, supervisor: table, listen: string|nil, schedules_on:
---  boolean|nil, page: boolean|nil} `root`: the project's folder
---@return {url: string, open_file: (fun(self: table): string), close: fun(self: table)}
function M.start(opts)
  local self = setmetatable({ job = opts.job, root = opts.root, store = opts.store, supervisor = opts.supervisor,
    schedules_on = opts.schedules_on or false, report = opts.job.report }, Http)
  self.tokens = require("server.auth").open(opts.root)
  self.tokens:owner()
  self.loaded = require("server.loaded").new(opts.job)
  self.events = require("server.events").new(self)
  self.page = opts.page ~= false and require "server.page" or nil
  self.server = listen(self, opts)
  return self
end

return M
