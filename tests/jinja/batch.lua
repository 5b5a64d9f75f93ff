--- Runs the batch protocol without the command line: build/release/luatest tests/jinja/batch.lua render --batch.

require("jinja.batch").main(function() return io.read("l") end, function(line) io.write(line, "\n") end)
