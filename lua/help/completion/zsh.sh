#compdef dex-lua
# zsh completion for dex-lua: `dex-lua completion zsh > _dex-lua` in a folder of $fpath
_dex_lua() {
  local -a candidates
  candidates=("${(@f)$(dex-lua completion words -- "${(@)words[2,CURRENT]}" 2> /dev/null)}")
  candidates=("${(@)candidates%%$'\t'*}")
  candidates=("${(@)candidates:#}")
  if (( ${#candidates} )); then
    compadd -- "${(@)candidates}"
  else
    _files
  fi
}
if [ "$funcstack[1]" = _dex_lua ]; then _dex_lua "$@"; else compdef _dex_lua dex-lua; fi
