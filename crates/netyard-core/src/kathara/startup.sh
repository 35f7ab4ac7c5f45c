# What Kathara runs in a device that starts. Words: its shell, its name, then commands to run at the end.
shell=$1
device=$2
shift 2
failures=/run/startup-failures
watch=/run/startup-watch

if [ ! -s /etc/hosts ]; then
    printf '127.0.0.1 localhost\n::1 localhost\n127.0.1.1 %s\n' "$device" > /etc/hosts
fi
if [ -d /var/www ]; then chmod -R 777 /var/www/*; fi 2> /dev/null
if [ -d /etc/quagga ]; then chown -R quagga:quagga /etc/quagga; chmod 640 /etc/quagga/*; fi 2> /dev/null
if [ -d /etc/frr ]; then chown -R frr:frr /etc/frr; chmod 640 /etc/frr/*; fi 2> /dev/null

# Each command of a script goes to its log, each one that fails with code and line to the failures. Only bash can tell.
printf '%s\n' 'unset BASH_ENV' \
    'trap "{ printf \"%s %s:%s: %s\\\\n\" \"\$?\" \"\${0##*/}\" \"\$LINENO\" \"\$BASH_COMMAND\" >> '$failures'; } 2> /dev/null" ERR' \
    'set -x' > $watch

run() {
    if [ ! -f "$1" ]; then return; fi
    case $shell in
        *bash) BASH_ENV=$watch "$shell" "$1" > "$2" 2>&1 ;;
        *) "$shell" -x "$1" > "$2" 2>&1 ;;
    esac
    code=$?
    if [ $code != 0 ] && [ ! -s $failures ]; then
        # A shell that does not understand a script says so in the last line.
        what=$(tail -n 1 "$2")
        case $what in "$1: line "*) ;; *) what="$1: exit" ;; esac
        printf '%s %s\n' $code "$what" >> $failures
    fi
}

run /hostlab/shared.startup /var/log/shared.log
run "/hostlab/$device.startup" /var/log/startup.log
for command; do
    printf '++ %s\n' "$command" >> /var/log/startup.log
    eval "$command" >> /var/log/startup.log 2>&1 || printf '%s exec: %s\n' $? "$command" >> $failures
done
: > /tmp/EOS

if [ -s $failures ]; then
    read -r code what < $failures
    printf '%s (exit code %s)\n' "$what" "$code"
    exit "$code"
fi
