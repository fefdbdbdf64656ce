#: expect
[2,4,6]
#: run
echo '{"a":[1,2,3],"b":{"c":"x"}}' | jq -c '.a | map(. * 2)'
jq -n --arg x "$HOME" '{$x, e: env.HOME, d: (1700000000 | todate)}'
seq 5 | jq -s 'add, (map(tostring) | join("-"))'; echo '{' | jq . || echo "status $?"
