# Prints what the kernel holds for every namespace below /run/netns, as ip, bridge, tc, nft, ethtool and sysctl see it.
# Each part begins with a line `### NAMESPACE PART`. Run by differential.rs, in a lab and in a sandbox alike.
set -u
export LC_ALL=C
cd /run/netns || exit 1

# Links carry packets a moment after they are up, and ports of a spanning tree seconds later. No event tells that the last
# one has come, so this looks again, for at most 30 s.
is_settled() {
    local ns
    for ns in *; do
        if ip -n "$ns" -o link show up | grep -v 'LOOPBACK' | grep -qv ' state UP '; then return 1; fi
        if bridge -n "$ns" link show | grep -qE 'state (listening|learning)'; then return 1; fi
        if ip -n "$ns" -6 -o address show tentative | grep -q .; then return 1; fi
    done
}
for _ in {1..300}; do
    if is_settled; then break; fi
    sleep 0.1
done

part() {
    echo "### $1 $2"
    shift 2
    "$@"
    echo
}
for ns in *; do
    part "$ns" namespaces ip -n "$ns" -j netns list-id
    part "$ns" links ip -n "$ns" -j -d address show
    part "$ns" ipv4-routes ip -n "$ns" -j -4 route show table all
    part "$ns" ipv6-routes ip -n "$ns" -j -6 route show table all
    part "$ns" ipv4-rules ip -n "$ns" -j -4 rule show
    part "$ns" ipv6-rules ip -n "$ns" -j -6 rule show
    part "$ns" neighbours ip -n "$ns" -j neighbour show nud permanent
    part "$ns" bridge-ports bridge -n "$ns" -j -d link show
    part "$ns" qdiscs tc -n "$ns" -j qdisc show
    part "$ns" nftables nsenter --net="$ns" nft list ruleset
    part "$ns" sysctls nsenter --net="$ns" grep -rs . /proc/sys/net
    echo "### $ns offloads"
    ip -n "$ns" -o link show | while IFS=': @' read -r _ link _; do
        nsenter --net="$ns" ethtool -k "$link" | sed "s/^/$link /"
    done
done
