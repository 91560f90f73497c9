# What the scripts print. Colours are for people: never in CI, never into a file.

if [[ -t 1 && -z ${CI:-} && -z ${NO_COLOR:-} ]]; then
  bold=$'\e[1m' red=$'\e[31m' green=$'\e[32m' plain=$'\e[0m'
else
  bold='' red='' green='' plain=''
fi

say() {
  printf '%s\n' "$*"
}

# Ends the script: what is wrong, and what to do about it.
fail() {
  printf '%s%s%s\n' "$red" "$*" "$plain" >&2
  exit 1
}
