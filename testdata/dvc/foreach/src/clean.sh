mkdir -p "$(dirname "$2")"
tr -d "#" < "$1" > "$2"
