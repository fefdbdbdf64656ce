# Bash completion of agent-aws. What it offers comes from agent-aws itself, and has no character that a shell would expand.
_agent_aws() {
    local word last=-1 words=() current before
    # Bash breaks words at = and : too; agent-aws gets them whole.
    for word in "${COMP_WORDS[@]:1:COMP_CWORD}"; do
        if [[ $last -ge 0 && ($word == [=:]* || ${words[last]} == *[=:] && $word != -*) ]]; then
            words[last]+=$word
        else
            words[++last]=$word
        fi
    done
    [[ $last -ge 0 ]] || return
    current=${words[last]}
    # By PATH, whatever was typed: a completion must not execute ./agent-aws of a directory.
    mapfile -t COMPREPLY < <(command agent-aws __complete -- "${words[@]}" 2>/dev/null)
    # Bash replaces what follows its last break, and no more.
    before=${current%"${current##*[=:]}"}
    if [[ -n $before && $COMP_WORDBREAKS == *"${before: -1}"* ]]; then
        COMPREPLY=("${COMPREPLY[@]#"$before"}")
    fi
}
# Where there is no name to offer, it is a file.
complete -o default -F _agent_aws agent-aws
