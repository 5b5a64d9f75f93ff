--- What becomes of warnings: --warn-error and --warn-error-options name them by dbt's events or by our codes.

local err = require "err"
local value = require "jinja.value"

local M = {}

-- Our code -> dbt's event, its code.
local events = {
  [130] = { "CustomKeyInObjectDeprecation", "D027" }, [131] = { "NoNodeForYamlKey", "I058" },
  [132] = { "UnusedResourceConfigPath", "I051" }, [134] = { "MissingPlusPrefixDeprecation", "D037" },
  [136] = { "ConfigSourcePathDeprecation", "D003" }, [138] = { "FreshnessConfigProblem", "I073" },
  [140] = { "DepsUnpinned", "M029" }, [141] = { "PackageRedirectDeprecation", "D001" },
  [145] = { "MicrobatchModelNoEventTimeInputs", "I074" }, [146] = { "UnsupportedConstraintMaterialization", "I068" },
  [147] = { "DeprecatedModel", "I065" }, [309] = { "NodeNotFoundOrDisabled", "I060" },
  [310] = { "NoNodesForSelectionCriteria", "M030" },
}

-- dbt's other names of warnings, which a project's options may mention.
local others = [[
  JinjaLogWarning LogTestResult LogFreshnessResult LogSnapshotResult LogModelResult LogSeedResult LogNodeResult
  LogBatchResult LogFunctionResult NothingToDo NoNodesSelected ConfigDataPathDeprecation DeprecatedReference
  UpcomingReferenceDeprecation WrongResourceSchemaFile
  PackageInstallPathDeprecation MetricAttributesRenamed ExposureNameDeprecation InternalDeprecation
  EnvironmentVariableRenamed ConfigLogPathDeprecation ConfigTargetPathDeprecation TestsConfigDeprecation
  ProjectFlagsMovedDeprecation SpacesInResourceNameDeprecation ResourceNamesWithSpacesDeprecation
  PackageMaterializationOverrideDeprecation SourceFreshnessProjectHooksNotRun
  MFTimespineWithoutYamlConfigurationDeprecation MFCumulativeTypeParamsDeprecation
  MicrobatchMacroOutsideOfBatchesDeprecation GenericJSONSchemaValidationDeprecation UnexpectedJinjaBlockDeprecation
  DuplicateYAMLKeysDeprecation CustomTopLevelKeyDeprecation CustomKeyInConfigDeprecation DeprecationsSummary
  CustomOutputPathInSourceFreshnessDeprecation PropertyMovedToConfigDeprecation WEOIncludeExcludeDeprecation
  ModelParamUsageDeprecation ModulesItertoolsUsageDeprecation SourceOverrideDeprecation
  EnvironmentVariableNamespaceDeprecation ArgumentsPropertyInGenericTestDeprecation
  MissingArgumentsPropertyInGenericTestDeprecation DuplicateNameDistinctNodeTypesDeprecation
  TimeDimensionsRequireGranularityDeprecation GenericSemanticLayerDeprecation GenerateSchemaNameNullValueDeprecation
  InvalidValueForField ValidationWarning SeedIncreased SeedExceedsLimitSamePath SeedExceedsLimitAndPathChanged
  SeedExceedsLimitChecksumChanged UnusedTables MacroNotFoundForPatch SemanticValidationFailure UnversionedBreakingChange
  WarnStateTargetEqual InvalidConcurrentBatchesConfig InvalidMacroAnnotation PackageNodeDependsOnRootProjectNode
  MFConverterIssue DepsScrubbedPackageName SnapshotTimestampWarning RunResultWarning RunResultWarningMessage
  SelectExcludeIgnoredWithSelectorWarning CollectFreshnessReturnSignature AdapterDeprecationWarning AdapterEventWarning
  CatalogGenerationError ConstraintNotEnforced ConstraintNotSupported]]

local ALL, DEPRECATIONS = "all", "Deprecations"

local known, deprecations = { [DEPRECATIONS] = true }, {}
for name in others:gmatch("%S+") do
  known[name], deprecations[name] = true, name:find("Deprecation$") and true or nil
end
for _, event in pairs(events) do
  known[event[1]], deprecations[event[1]] = true, event[2]:sub(1, 1) == "D" or nil
end

--- The event that a warning is in dbt: its name and its code.
---@param e dex.Error
---@return string name
---@return string code
function M.event_of(e)
  local event = events[e.code]
  if event then return event[1], event[2] end
  return "Note", "Z050"
end

local Policy = {}
Policy.__index = Policy

local function bad(message, hint)
  err.raise { code = 101, message = "--warn-error-options: " .. message, hint = hint or
    "such as '{error: all, warn: [NoNodesForSelectionCriteria], silence: [130]}'" }
end

local function check_name(item)
  local code = math.tointeger(tonumber(item))
  if code and require("help.errors").codes[code] then return code end
  if known[item] then return item end
  local names = {}
  for name in pairs(known) do names[#names + 1] = name end
  table.sort(names)
  bad(("'%s' is no warning"):format(tostring(item)), err.did_you_mean(tostring(item), names)
    or "`dex-lua help warnings` has the names")
end

-- error: all, or a list; the set of its names.
local function names_of(options, key, older)
  local given = value.opt(options[key])
  if older and value.opt(options[older]) ~= nil then
    if given ~= nil then bad(("`%s` and `%s` are the same: keep `%s`"):format(key, older, key)) end
    given = options[older]
  end
  if given == nil then return {}, false end
  if type(given) == "string" then
    if key == "error" and (given == ALL or given == "*") then return {}, true end
    bad(("`%s` must be a list%s, not '%s'"):format(key, key == "error" and " or `all`" or "", given))
  end
  if not value.is_list(given) then bad(("`%s` must be a list"):format(key)) end
  local set = {}
  for _, item in ipairs(given) do set[check_name(item)] = true end
  return set, false
end

--- The policy of a command's options.
---@param given table warn_error, warn_error_options
function M.policy(given)
  local self = setmetatable({ errors = {}, warns = {}, silenced = {}, all = given.warn_error or false }, Policy)
  if given.warn_error_options then
    if given.warn_error then bad("--warn-error says it for all: keep one of the two") end
    local options = require("command.meta").yaml_argument("--warn-error-options", given.warn_error_options)
    for key in pairs(options) do
      if key ~= "error" and key ~= "include" and key ~= "warn" and key ~= "exclude" and key ~= "silence" then
        bad(("there is no key '%s'"):format(tostring(key)), err.did_you_mean(tostring(key),
          { "error", "warn", "silence" }))
      end
    end
    self.errors, self.all = names_of(options, "error", "include")
    self.warns = names_of(options, "warn", "exclude")
    self.silenced = names_of(options, "silence")
    if next(self.warns) and not (self.all or self.errors[DEPRECATIONS] or self.silenced[DEPRECATIONS]) then
      bad("`warn` takes out of what is an error: it needs `error: all`, or Deprecations in `error` or `silence`")
    end
  end
  return self
end

--- What becomes of a warning. What is named counts more than all deprecations, they more than all; silence more than
--- warn, and that more than error.
---@param name string of the event
---@param code integer|nil ours
---@return "error"|"warn"|"silence"
function Policy:of(name, code)
  local function named(set) return set[name] or code and set[code] or false end
  if named(self.silenced) then return "silence" end
  if named(self.warns) then return "warn" end
  if named(self.errors) then return "error" end
  if deprecations[name] then
    if self.silenced[DEPRECATIONS] then return "silence" end
    if self.warns[DEPRECATIONS] then return "warn" end
    if self.errors[DEPRECATIONS] then return "error" end
  end
  return self.all and "error" or "warn"
end

--- `dex-lua help warnings`: our codes and dbt's names.
---@return string
function M.page()
  local codes, out = {}, { "Warnings, by our code and by dbt's name, for --warn-error-options:\n" }
  for code in pairs(events) do codes[#codes + 1] = code end
  table.sort(codes)
  local about = require("help.errors").codes
  for _, code in ipairs(codes) do
    out[#out + 1] = ("  %d  %-38s %s"):format(code, events[code][1], (about[code][1]:gsub("^Warning: ", "")))
  end
  out[#out + 1] = "\nJinjaLogWarning is exceptions.warn() and hook:warn(), LogTestResult a test that warns,"
  out[#out + 1] = "NothingToDo a run of no node, Deprecations all those of dbt's that end in Deprecation."
  return table.concat(out, "\n") .. "\n"
end

return M
