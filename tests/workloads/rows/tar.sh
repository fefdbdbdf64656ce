#: expect
tree is equal
#: setup
mkdir -p tree/a/b; seq 10000 >tree/a/numbers; ln -s a/numbers tree/link; ln tree/a/numbers tree/hard; printf '\0\1\2' >tree/a/b/bytes; chmod 640 tree/a/b/bytes; chmod 755 tree/a/numbers; mkfifo tree/pipe
truncate -s 1M tree/sparse; touch -d @1700000000 tree/a/numbers
#: run
tar -cf t.tar --sparse --sort=name tree; tar -tvf t.tar --full-time | awk '{print $1, $NF}'
for z in gzip xz bzip2; do
    mkdir out; tar -cf "t.$z" --$z tree; tar -xpf "t.$z" -C out; diff -r --no-dereference -x pipe tree out/tree && echo "$z tree is equal"
    stat -c '%A %h %n' out/tree/hard out/tree/a/b/bytes out/tree/pipe; rm -r out
done
xz -T2 -k t.tar; xz -l t.tar.xz | tail -n 1 | awk '{print $1, $2}'; xz -dc t.tar.xz | cmp - t.tar && echo same; gzip -lv t.gzip | awk 'NR == 2 {print $1}'
find tree -type f -print0 | sort -z | xargs -0 -P 4 -n 1 sha256sum | sort
