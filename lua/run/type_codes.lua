--- The names under which dbt's driver knows PostgreSQL's types, by oid: what contracts compare. Types of one
-- name count as the same there (varchar and text, smallint and integer).

local M = {}

local names = {
  BOOLEAN = { 16 }, BINARY = { 17 }, STRING = { 18, 19, 25, 1042, 1043 }, LONGINTEGER = { 20 }, INTEGER = { 21, 23 },
  ROWID = { 26 }, JSON = { 114 }, JSONB = { 3802 }, FLOAT = { 700, 701 }, INTERVAL = { 704, 1186 }, UNKNOWN = { 705 },
  DATE = { 1082 }, TIME = { 1083, 1266 }, DATETIME = { 1114 }, DATETIMETZ = { 1184 }, DECIMAL = { 1700 },
  BOOLEANARRAY = { 1000 }, BINARYARRAY = { 1001 }, STRINGARRAY = { 1002, 1003, 1009, 1014, 1015 },
  INTEGERARRAY = { 1005, 1006, 1007 }, LONGINTEGERARRAY = { 1016 }, ROWIDARRAY = { 1013, 1028 },
  FLOATARRAY = { 1021, 1022 }, DECIMALARRAY = { 1231 }, DATEARRAY = { 1182 }, TIMEARRAY = { 1183, 1270 },
  DATETIMEARRAY = { 1115 }, DATETIMETZARRAY = { 1185 }, INTERVALARRAY = { 1187 }, JSONARRAY = { 199 },
  JSONBARRAY = { 3807 }, CIDRARRAY = { 651 }, INETARRAY = { 1041 }, MACADDRARRAY = { 1040 },
}

local by_oid = {}
for name, oids in pairs(names) do
  for _, oid in ipairs(oids) do by_oid[oid] = name end
end

--- The name of a type.
---@param oid integer
---@return string
function M.name(oid) return by_oid[oid] or ("unknown type_code %d"):format(oid) end

return M
