# What the demonstrations quickstart, three-nodes and sampling-demo share: sourced by them, with $me set to
# their name. Processes in `pids` are ended and the directory `dir` is removed when they end, however that
# is.

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
build=${BUILD_DIR:-$top/build/quickstart}
pids=()
dir=

if [ -t 1 ]; then
	bold=$'\033[1m' plain=$'\033[0m'
fi

# The comment at the head of the script.
usage()
{
	sed -n '2,/^set -/{/^set -/d;s/^# \{0,1\}//;p}' "$0"
}

say()
{
	printf '\n%s%s%s\n' "${bold-}" "$*" "${plain-}"
}

clean_up()
{
	local pid
	trap - EXIT INT TERM
	for pid in ${pids[@]+"${pids[@]}"}; do
		kill "$pid" 2>/dev/null || true
	done
	for pid in ${pids[@]+"${pids[@]}"}; do
		wait "$pid" 2>/dev/null || true
	done
	[ -z "$dir" ] || rm -rf "$dir"
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# Installs what is needed, builds, and finds the server program.
build()
{
	"$top/contrib/install-deps" build
	say "Building in $build"
	[ -x "$top/configure" ] && [ "$top/configure" -nt "$top/configure.ac" ] || "$top/autogen.sh" >/dev/null 2>&1
	mkdir -p "$build"
	cd "$build"
	[ -e config.status ] || "$top/configure" -q
	make -s -j"$(nproc)"
	server=${NATS_SERVER:-$(PATH=$PATH:/usr/sbin:/usr/local/sbin command -v nats-server)}
	dir=$(mktemp -d "${TMPDIR:-/tmp}/sr-$me.XXXXXX")
}

program()
{
	"$build/stream-replicator" "$@"
}

# Starts a server on a port that it chooses itself, and says which.
start_server() # name
{
	local name=$1 ports="$dir/$1-ports"
	mkdir -p "$ports"
	"$server" -a 127.0.0.1 -p -1 -n "$name" -js -sd "$dir/$name" --ports_file_dir "$ports" \
		>"$dir/$name.log" 2>&1 &
	pids+=($!)
	local i file
	for ((i = 0; i < 100; i++)); do
		file=$(find "$ports" -name '*.ports')
		if [ -n "$file" ] && port=$(sed -n 's/.*nats:\/\/127\.0\.0\.1:\([0-9]*\).*/\1/p' "$file") && [ "$port" ]; then
			return 0
		fi
		sleep 0.1
	done
	echo "$me: $server does not start:" >&2
	cat "$dir/$name.log" >&2
	return 1
}

# ---- the other end of a NATS connection: bash can open it, and the protocol is text ------------------

connect() # port
{
	exec 3<>"/dev/tcp/127.0.0.1/$1" || return
	printf 'CONNECT {"verbose":false,"headers":true,"name":"%s"}\r\nSUB %s.reply 1\r\n' "$me" "$me" >&3
}

# Waits for one answer and puts its body into $answer; answers the server's pings on the way.
receive()
{
	local line
	while IFS= read -r -t "${patience:-20}" line <&3; do
		case $line in
		PING*) printf 'PONG\r\n' >&3 ;;
		MSG*)
			IFS= read -r -t "${patience:-20}" answer <&3
			return 0
			;;
		-ERR*)
			echo "$me: nats-server says $line" >&2
			return 1
			;;
		esac
	done
	echo "$me: no answer from nats-server" >&2
	return 1
}

ask() # subject body
{
	printf 'PUB %s %s.reply %d\r\n%s\r\n' "$1" "$me" "${#2}" "$2" >&3
	receive || return
	case $answer in
	*'"error"'*)
		echo "$me: $answer" >&2
		return 1
		;;
	esac
}
