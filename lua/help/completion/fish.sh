# fish completion for dex-lua: `dex-lua completion fish > ~/.config/fish/completions/dex-lua.fish`
function __dex_lua_complete
    set -l words (commandline -opc)
    set -l found (dex-lua completion words -- $words[2..-1] (commandline -ct) 2> /dev/null)
    if test (count $found) -gt 0
        printf '%s\n' $found
    else
        __fish_complete_path (commandline -ct)
    end
end
complete -c dex-lua -f -a '(__dex_lua_complete)'
