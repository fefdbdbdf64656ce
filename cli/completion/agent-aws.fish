# Fish completion of agent-aws. What it offers comes from agent-aws itself, by PATH: a completion must not execute ./agent-aws.
function __agent_aws_complete
    set -l words (commandline -opc)
    set -l current (commandline -ct)
    set -l offers (command agent-aws __complete -- $words[2..] "$current" 2>/dev/null)
    if test (count $offers) -gt 0
        printf '%s\n' $offers
    else
        __fish_complete_path "$current"
    end
end
complete -c agent-aws -f -a '(__agent_aws_complete)'
