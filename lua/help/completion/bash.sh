# bash completion for dex-lua: source it from ~/.bashrc, as `source <(dex-lua completion bash)`
_dex_lua() {
  local IFS=$' \t\n' line=${COMP_LINE:0:COMP_POINT} words current before
  read -r -a words <<< "$line"
  [[ $line == *[[:space:]] ]] && words+=("")
  current=${words[${#words[@]}-1]}
  IFS=$'\n'
  COMPREPLY=($("${words[0]}" completion words -- "${words[@]:1}" 2> /dev/null | cut -f 1))
  # bash splits words at : and =, and puts in only what stands behind them
  before=${current%"${current##*[:=]}"}
  [ -z "$before" ] || COMPREPLY=("${COMPREPLY[@]#"$before"}")
}
complete -o bashdefault -o default -F _dex_lua dex-lua
