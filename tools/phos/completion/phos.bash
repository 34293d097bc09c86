# Completion of phos(1) for bash.

_phos_options() {
    local common='--endpoint --api-key-file --api-key --help'

    case $1 in
    send)
        echo "--project-id --linger-ms --batch --in-flight --rate" \
            "--close-timeout-ms --refused --strict --wait --quiet --json" \
            "$common" ;;
    tail)
        echo "--session --user --model --flag --tag --q --from --last" \
            "--count --interval-ms --json --text $common" ;;
    events)
        echo "--session --user --model --flag --tag --from --to --q" \
            "--limit --offset --json --text $common" ;;
    sessions)
        echo "--user --model --from --to --q --limit --offset --json --text" \
            "$common" ;;
    feedback) echo "--comment --source --json $common" ;;
    doctor) echo "--json $common" ;;
    *) echo "--help --version" ;;
    esac
}

_phos() {
    local current=${COMP_WORDS[COMP_CWORD]}
    local previous=${COMP_WORDS[COMP_CWORD - 1]}
    local command=${COMP_WORDS[1]}
    local words=

    COMPREPLY=()
    if [ "$COMP_CWORD" -eq 1 ]; then
        words="send tail events sessions feedback doctor help $(_phos_options)"
    elif [[ $previous == --flag ]]; then
        words='success failure'
    elif [[ $previous == --api-key-file || $previous == --refused ]]; then
        compopt -o default 2>/dev/null
        return
    elif [[ $previous == --* && ! $previous =~ \
        ^--(strict|wait|quiet|json|text|help|version)$ ]]; then
        return # a value that nobody can guess
    elif [[ $current == -* ]]; then
        words=$(_phos_options "$command")
    else
        case $command in
        events | sessions) [ "$COMP_CWORD" -eq 2 ] && words='list get' ;;
        feedback) [ "$COMP_CWORD" -gt 2 ] && words='success failure' ;;
        help)
            [ "$COMP_CWORD" -eq 2 ] &&
                words='send tail events sessions feedback doctor' ;;
        send)
            compopt -o default 2>/dev/null
            return ;;
        esac
    fi
    # Words of our own, without blanks or wildcards.
    # shellcheck disable=SC2207
    COMPREPLY=($(compgen -W "$words" -- "$current"))
}

complete -F _phos phos
