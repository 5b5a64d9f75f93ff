--- The words that dex-lua and dbt know in project and properties files, for "did you mean". dbt takes any
-- key as a config of the user's own, so an unknown key is only a warning, and below `models:` only when it
-- looks like a slip of a known one.

local err = require "err"
local lines_of = require("project.lines").of
local ORDER = require("dex.core").ORDER

local M = {}

local function words(text)
  local list, set = {}, {}
  for word in text:gmatch("%S+") do
    list[#list + 1] = word
    set[word] = true
  end
  return { list = list, set = set }
end

--- Keys at the top of dbt_project.yml. dbt takes hyphens and underscores.
M.project = words [[name version config-version profile model-paths seed-paths test-paths macro-paths snapshot-paths
  analysis-paths docs-paths asset-paths function-paths osi-paths target-path log-path clean-targets
  packages-install-path source-paths data-paths query-comment require-dbt-version quoting dispatch flags vars
  on-run-start on-run-end models seeds snapshots tests data_tests unit_tests sources metrics semantic-models
  saved-queries exposures analyses functions operations python
  restrict-access dbt-cloud packages project-root hook-paths hook-programs
  transaction-retries ledger
  operation-paths flow-paths dex anonymous_usage_stats]]

--- Config keys of models, seeds, snapshots and tests that dbt, its PostgreSQL adapter or dex-lua read; the last
--- ones are of other adapters, which projects set as well.
M.config = words [[enabled alias schema database tags meta group static_analysis materialized incremental_strategy
  batch_size lookback begin persist_docs post_hook pre_hook post-hook pre-hook on_failure always quoting column_types
  full_refresh unique_key on_schema_change on_configuration_change grants packages docs contract event_time
  concurrent_batches access freshness on_error latest_version_pointer delimiter quote_columns strategy target_schema
  target_database updated_at check_cols snapshot_meta_column_names dbt_valid_to_current hard_deletes
  invalidate_hard_deletes severity store_failures store_failures_as sql_header where limit fail_calc warn_if error_if
  indexes unlogged merge_update_columns merge_exclude_columns incremental_predicates predicates loaded_at_field
  loaded_at_query vars description transaction commands lock timeout retries name
  partition_by partitions partition_expiration_days require_partition_filter copy_partitions cluster_by file_format
  table_type transient bind dist sort sort_type backup labels copy_grants tmp_relation_type snowflake_warehouse
  warehouse query_tag automatic_clustering secure target_lag refresh_mode initialize location_root location options
  tblproperties format properties distributed_by duplicate_key buckets refresh_method auto_refresh view_security
  grant_access_to hours_to_expiration kms_key_name merge_skip_unchanged filtering_columns required_tests required_docs
  type volatility runtime_version entry_point snowflake
  submission_method views_enabled snowplow_optimize upsert_date_key iceberg_version on_table_exists s3_data_dir engine
  order_by settings parameters confirm targets jinja python depends_on hooks]]

--- Keys of an entry below models:, seeds: or snapshots: in a properties file.
M.model = words [[name description docs meta config columns tests data_tests constraints versions latest_version
  deprecation_date access group contract time_spine tags docs_url quote_columns data_type unit_tests relation
  semantic_model metrics derived_semantics agg_time_dimension primary_entity defined_in]]

M.column = words [[name description data_type constraints quote tags meta tests data_tests config granularity dimension
  entity policy_tags docs]]

M.source = words [[name description database schema loader loaded_at_field loaded_at_query meta tags config freshness
  quoting overrides tables quote_columns catalog dataset project]]

M.table = words [[name identifier description columns meta tags config freshness loaded_at_field loaded_at_query quoting
  external tests data_tests loader quote_columns]]

--- Keys below flags: of dbt_project.yml: those of options, and dbt's switches of behaviour.
M.flags = words [[cache_selected_only debug fail_fast full_refresh hints_enabled indirect_selection log_cache_events
  log_format log_format_file log_level log_level_file log_path maximum_seed_size_mib partial_parse populate_cache
  printer_width print quiet send_anonymous_usage_stats static_parser store_failures target_path threads use_colors
  use_colors_file use_experimental_parser version_check warn_error warn_error_options write_json introspect empty
  resource_type exclude_resource_type state defer favor_state defer_state
  require_batched_execution_for_custom_microbatch_strategy require_event_names_in_deprecations
  require_explicit_package_overrides_for_builtin_materializations require_resource_names_without_spaces
  source_freshness_run_project_hooks skip_nodes_if_on_run_start_fails state_modified_compare_more_unrendered_values
  state_modified_compare_vars require_yaml_configuration_for_mf_time_spines require_nested_cumulative_type_params
  validate_macro_args require_all_warnings_handled_by_warn_error require_generic_test_arguments_property
  require_unique_project_resource_names require_ref_searches_node_package_before_root
  require_valid_schema_from_generate_schema_name allow_jinja_file_extensions require_sql_header_in_test_configs
  support_custom_ref_kwargs require_corrected_analysis_fqns use_catalogs_v2
  require_source_and_semantic_model_names_without_spaces enable_grouped_warn_error_parser_logs
  latest_version_pointer_enabled_by_default]]

M.selector = words "name description definition default"

M.profile = words [[type host hostaddr user pass password port dbname database schema threads connect_timeout role
  search_path keepalives_idle sslmode sslcert sslkey sslrootcert sslpassword application_name endpoint retries
  autocommit target]]

--- Sections of a properties file.
M.sections = words [[version models seeds snapshots sources macros analyses exposures metrics semantic_models
  saved_queries unit_tests groups functions data_tests operations anchors selectors]]

--- Notes a warning for a key that is no known one. With `slip`, only when a known one is near.
---@param problems dex.Problems
---@param vocabulary table one of this module's
---@param container table dict
---@param opts {what: string, file: string, lines: table, slip?: boolean}
function M.check(problems, vocabulary, container, opts)
  local known_words = vocabulary.set
  for _, key in ipairs(container[ORDER]) do
    if not known_words[key] then
      M.check_key(problems, vocabulary, key, { what = opts.what, file = opts.file, slip = opts.slip,
        line = lines_of(opts.lines, container, key) })
    end
  end
end

--- The same for one key whose line is known.
function M.check_key(problems, vocabulary, key, opts)
  if type(key) ~= "string" or vocabulary.set[key] then return end
  if vocabulary.set[key:gsub("_", "-")] and vocabulary == M.project then return end
  local near = #key > 3 and err.nearest(key, vocabulary.list) or nil
  if opts.slip and not near then return end
  problems:warn { code = 130, message = ("%s has no key '%s'"):format(opts.what, key), file = opts.file,
    line = opts.line, hint = near and ("did you mean '" .. near .. "'?") or nil }
end

return M
