# Writes a model and its log: $1 is the model, $2 the set, $3 its rows.
mkdir -p "$4/layers"
i=0
while [ "$i" -lt "$3" ]; do
  echo "$1 $2 $i" > "$4/layers/$i"
  i=$((i + 1))
done
echo "$1: $3" > "$4/log"
