# Splits the rows of $1: every fourth is for the test.
mkdir -p data/prepared
grep '<row' "$1" | awk 'NR % 4' > data/prepared/train.tsv
grep '<row' "$1" | awk '!(NR % 4)' > data/prepared/test.tsv
