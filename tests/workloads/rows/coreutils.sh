#: expect
sorted 1 100000
#: run
seq 100000 | shuf | sort -n --parallel=2 -S 1M | sed -n '1p;$p' | paste -sd' ' | sed 's/^/sorted /'
cp --reflink=auto --sparse=always /bin/true t; cp -a t u; cmp t u && echo equal; dd if=/dev/zero of=z bs=64k count=16 conv=fsync 2>/dev/null; stat -c '%s %F' z; split -b 300k z z.; ls z.*
truncate -s 10G sparse && du --apparent-size -BG sparse | cut -f1; fallocate -l 1M fa && stat -c %s fa; mktemp -u | sed 's/\..*//'; mktemp -d >/dev/null && echo temporary
ln -s none dangling; readlink dangling; realpath .; touch -d '2020-02-02 UTC' old; TZ=UTC stat -c %y old; chmod 600 old; stat -c %a old; chgrp "$(id -g)" old
df . >/dev/null && echo df; nproc; nice -n 5 nice; ionice -c 3 true && echo idle; taskset -c 0 true; stdbuf -oL echo unbuffered; tee a b <<<both | cat - ; sha256sum a | cut -c1-12; env -i sh -c 'echo $0'; id -un; getent passwd "$(id -u)" | cut -d: -f1,6; getent hosts localhost >/dev/null && echo localhost; date -u -d @0; yes | head -n 2; numfmt --to=iec 2048; hostname >/dev/null && echo named; uname -s; sync z; install -m 700 a i; stat -c %a i; TZ=Europe/Berlin date -d @0 +%H
