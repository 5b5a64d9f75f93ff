std = "lua54"
max_line_length = 120
exclude_files = { "build" }
-- Signatures for editors: functions without a body, whose parameters nobody uses.
files["stdlib/types"] = { ignore = { "212", "241" } }
