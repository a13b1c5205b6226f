# Completion of plugprof's commands and options for bash.
# The words come from plugprof itself (--help), so they are always those of the version installed.

# The options in the help of command $2, one a line: --NAME, with = when it has an argument.
_plugprof_options() {
	"$1" "$2" --help 2>/dev/null |
		sed -n 's/^  \(-[a-zA-Z],\|   \) \(--[a-z-]*=\{0,1\}\).*/\2/p'
}

_plugprof_commands() {
	"$1" --help 2>/dev/null | sed -n 's/^  \([a-z][a-z]*\) \{2,\}.*/\1/p'
}

# Files that end as one of the arguments says, and folders on the way to them.
_plugprof_files() {
	local word=$1 ending
	compopt -o filenames 2>/dev/null
	shift
	COMPREPLY=()
	for ending; do
		mapfile -t -O "${#COMPREPLY[@]}" COMPREPLY < \
			<(compgen -f -X "!*$ending" -- "$word")
	done
	mapfile -t -O "${#COMPREPLY[@]}" COMPREPLY < <(compgen -d -- "$word")
}

# What follows option $1; false: nothing that is known.
_plugprof_argument() {
	local word=$2
	case $1 in
	-o | --output) _plugprof_files "$word" .pb.gz ;;
	--host)
		compopt -o filenames 2>/dev/null
		mapfile -t COMPREPLY < <(compgen -f -- "$word")
		;;
	-s | --symbols | --spool | --store)
		compopt -o filenames 2>/dev/null
		mapfile -t COMPREPLY < <(compgen -d -- "$word")
		;;
	-e | --obj)
		compopt -o filenames 2>/dev/null
		mapfile -t COMPREPLY < <(compgen -f -- "$word")
		;;
	--format) mapfile -t COMPREPLY < <(compgen -W "text json llvm" -- "$word") ;;
	--demangle) mapfile -t COMPREPLY < <(compgen -W "none simple full" -- "$word") ;;
	--follow) mapfile -t COMPREPLY < <(compgen -W "both fork exec none" -- "$word") ;;
	--include | --exclude) mapfile -t COMPREPLY < <(compgen -c -- "$word") ;;
	-F | --freq) mapfile -t COMPREPLY < <(compgen -W "99 250 499 997" -- "$word") ;;
	--heap-interval) mapfile -t COMPREPLY < <(compgen -W "1 64k 512k 2m" -- "$word") ;;
	-d | --duration) mapfile -t COMPREPLY < <(compgen -W "10s 30s 1m" -- "$word") ;;
	*) return 1 ;;
	esac
}

# The index of the first word of COMP_WORDS that belongs to the program "record" runs; 0: none yet.
_plugprof_program_at() {
	local i
	for ((i = 2; i < COMP_CWORD; i++)); do
		case ${COMP_WORDS[i]} in
		--)
			echo $((i + 1))
			return
			;;
		-o | -d | -F | --output | --duration | --freq | --heap-interval | --spool | \
			--follow | --include | --exclude)
			# --NAME = VALUE is three words to readline, --NAME VALUE and -x VALUE two.
			[[ ${COMP_WORDS[i + 1]} == = ]] && ((i++))
			((i++))
			;;
		-*) ;;
		*)
			echo "$i"
			return
			;;
		esac
	done
	echo 0
}

_plugprof() {
	local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]}
	local tool=${COMP_WORDS[0]} command=${COMP_WORDS[1]} first=0
	COMPREPLY=()

	if ((COMP_CWORD == 1)); then
		mapfile -t COMPREPLY < <(
			compgen -W "$(_plugprof_commands "$tool") --help --version" -- "$word")
		return
	fi
	[[ $command == record ]] && first=$(_plugprof_program_at)
	if ((first > 0)); then
		if declare -F _command_offset >/dev/null; then
			_command_offset "$first"
		elif ((COMP_CWORD == first)); then
			mapfile -t COMPREPLY < <(compgen -c -- "$word")
		else
			mapfile -t COMPREPLY < <(compgen -f -- "$word")
		fi
		return
	fi
	if [[ $word == = ]]; then
		word=
	elif [[ $before == = ]]; then
		before=${COMP_WORDS[COMP_CWORD - 2]}
	fi
	_plugprof_argument "$before" "$word" && return
	if [[ $word == -* ]]; then
		mapfile -t COMPREPLY < <(
			compgen -W "$(_plugprof_options "$tool" "$command")" -- "$word")
		[[ ${COMPREPLY[0]} == *= ]] && compopt -o nospace 2>/dev/null
		return
	fi
	case $command in
	record) mapfile -t COMPREPLY < <(compgen -c -- "$word") ;;
	doctor) _plugprof_files "$word" .so ;;
	clean) ;;
	recover | finish) _plugprof_files "$word" .spool ;;
	*) _plugprof_files "$word" .pb.gz .spool ;;
	esac
}

complete -F _plugprof plugprof
