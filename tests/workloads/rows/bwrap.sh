#: expect
in bubblewrap 1
cannot write
#: run
bwrap --ro-bind / / --dev /dev --proc /proc --tmpfs /tmp --unshare-all --die-with-parent sh -c 'echo in bubblewrap $(ps -o pid= -C bwrap | head -n 1); touch x 2>/dev/null || echo cannot write; ls /tmp | wc -l'
bwrap --bind / / --dev-bind /dev /dev --unshare-pid --new-session sh -c 'touch made && ls made; cat /proc/self/status | grep -c NoNewPrivs'
