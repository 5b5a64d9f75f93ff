--- Privileges of roles on what is built.
--
--   +post-hook: {lua: grants.apply, args: {select: [reporter, analyst], insert: loader}}
--   +post-hook: {lua: grants.apply, args: {select: reporter, only: true}}
--   on-run-end: {lua: grants.schemas, args: {to: [reporter], schemas: [marts, staging]}}
--
-- Works inside the transaction: a relation is never seen without its privileges.

local grants = {}

local function list(v) return type(v) == "string" and { v } or v end

local function ident(name) return '"' .. tostring(name):gsub('"', '""') .. '"' end

-- The roles as SQL; fails on the first that the server does not know.
local function roles_of(hook, names, what)
  local quoted = {}
  for _, name in ipairs(list(names) or hook:fail("%s needs the names of roles", what)) do
    if name:lower() == "public" then
      quoted[#quoted + 1] = "public"
    elseif hook:value("select true from pg_roles where rolname = $1", name) then
      quoted[#quoted + 1] = ident(name)
    else
      hook:fail("there is no role '%s' to grant %s to", name, what)
    end
  end
  return quoted
end

-- Privileges that somebody but the owner has and the arguments do not name.
local superfluous = [[
  select lower(a.privilege_type) as privilege, coalesce(r.rolname, 'public') as grantee
  from pg_class c, aclexplode(c.relacl) a left join pg_roles r on r.oid = a.grantee
  where c.oid = $1::regclass and a.grantee <> c.relowner order by 1, 2]]

local function revoke_others(hook, wanted)
  for _, row in ipairs(hook:query(superfluous, hook.this)) do
    local role = row.grantee == "public" and "public" or ident(row.grantee)
    if not wanted[row.privilege .. " " .. role] then
      hook:exec(("revoke %s on %s from %s"):format(row.privilege, hook.this, role))
    end
  end
end

--- Grants each privilege that `args` names to its roles; with `only: true` all others lose theirs.
function grants.apply(hook)
  local wanted = {}
  for privilege, names in pairs(hook.args) do
    if privilege ~= "only" then
      if not privilege:find "^%a+$" then hook:fail("'%s' is no privilege", privilege) end
      local roles = roles_of(hook, names, privilege:lower())
      if #roles > 0 then
        hook:exec(("grant %s on %s to %s"):format(privilege, hook.this, table.concat(roles, ", ")))
      end
      for _, role in ipairs(roles) do wanted[privilege:lower() .. " " .. role] = true end
    end
  end
  if hook.args.only then revoke_others(hook, wanted) end
end

--- Lets the roles `to` into the `schemas` (default: the target's), and read what is there and what will be.
function grants.schemas(hook)
  local roles = table.concat(roles_of(hook, hook.args.to or hook:fail "grants.schemas needs `to`", "usage"), ", ")
  for _, name in ipairs(list(hook.args.schemas) or { hook.target.schema }) do
    local schema = ident(name)
    hook:exec(("grant usage on schema %s to %s"):format(schema, roles))
    hook:exec(("grant select on all tables in schema %s to %s"):format(schema, roles))
    hook:exec(("alter default privileges in schema %s grant select on tables to %s"):format(schema, roles))
  end
end

return grants
