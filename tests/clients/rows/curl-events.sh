#: expect
data: www.example.net says 0
data: www.example.net says 5
came bit by bit
#: run
start=$EPOCHREALTIME
curl -sSfN "$TLS/events" | while read -r line; do echo "$line"; [ "$line" != "id: 0" ] || echo "$EPOCHREALTIME" >first; done
python3 -c 'import sys; first, start, end = map(float, sys.argv[1:]); print("came bit by bit" if end - first > 1 else "came at once")' "$(cat first)" "$start" "$EPOCHREALTIME"
