#compdef agent-aws
# Zsh completion of agent-aws. What it offers comes from agent-aws itself, by PATH: a completion must not execute ./agent-aws.
_agent_aws() {
    local -a offers
    offers=(${(f)"$(command agent-aws __complete -- "${(@)words[2,CURRENT]}" 2>/dev/null)"})
    if (( $#offers )); then
        compadd -- $offers
    else
        _files
    fi
}
if [[ $funcstack[1] == _agent[_-]aws ]]; then
    _agent_aws
else
    compdef _agent_aws agent-aws
fi
