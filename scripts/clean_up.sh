# For a script that starts jobs: when it ends, in any way, end them and remove the folder $work.
# It ends no other process, also none of the same user. Source it when $work is set.

# Not each program forwards signals, so each process below a job is ended by its ID.
tree_of() {
    local child
    for child in $(pgrep -P "$1"); do tree_of "$child"; done
    echo "$1"
}
stop_jobs() {
    local job processes=()
    for job in $(jobs -p); do mapfile -t -O "${#processes[@]}" processes < <(tree_of "$job"); done
    [ "${#processes[@]}" -gt 0 ] || return 0
    kill "${processes[@]}" 2>/dev/null || true
    for _ in $(seq 100); do
        kill -0 "${processes[@]}" 2>/dev/null || return 0
        sleep 0.2
    done
    kill -KILL "${processes[@]}" 2>/dev/null || true
}
clean_up() {
    stop_jobs
    # Never across a mount that a killed container may have left.
    rm -rf --one-file-system "$work"
}
trap clean_up EXIT
