# Counts the words of each part.
mkdir -p "$2/parts"
for part in train test; do
  tr -cs 'a-z' '\n' < "$1/$part.tsv" | sort | uniq -c | sort -k2 > "$2/parts/$part.counts"
done
