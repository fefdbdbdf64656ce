#: expect
three two one
#: setup
printf '%s\n' one two three >words
#: run
vim -u NONE -es -c 'set nomore' -c 'g/^/m0' -c '%j' -c 'wq! joined' words </dev/null || true
cat joined
vim -u NONE -es -c '%s/t/T/g' -c 'w' -c "r !echo from a shell" -c 'wq' words </dev/null; cat words
vim --version | head -n 1; ls -A | sort
