--- An ephemeral model builds nothing: its SQL becomes a common table expression of the models that read it
-- (lua/run/compile.lua), and no node of a run has this materialization.
return function()
  return {}
end
