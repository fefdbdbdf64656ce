#: expect
HTTP/1.0 200 OK
sdrawkcab
#: alike
s/^(Date|Last-Modified|Server): .*/\1: X/
s/ after [0-9]+ ms/ after X ms/
#: served
echo content >file; mkdir dir; echo below >dir/below; head -c 300000 /dev/zero >large
#: run
curl -sS -i "$URL/file"
curl -sS --data backwards "$URL/post"; echo
curl -sS -o large --compressed "$URL/large"; wc -c <large
curl -sS --no-progress-meter -Z "$URL/file" "$URL/dir/below" | sort; curl -sS -f "$URL/none" || echo "status $?"
curl -sS --max-time 2 http://localhost:1/ || echo "status $?"
curl -sS "file://$PWD/large" | wc -c
