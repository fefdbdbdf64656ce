#: expect
<p id="out">script ran, 3 workers</p>
png
#: setup
cat >page.html <<'X'
<!doctype html><p id="out"></p><script>
const code = URL.createObjectURL(new Blob(["postMessage(1)"]));
let n = 0; for (let i = 0; i < 3; i++) new Worker(code).onmessage = () => { n++; document.getElementById("out").textContent = `script ran, ${n} workers`; };
</script>
X
#: run
flags="--headless --disable-gpu --no-first-run --disable-background-networking --disable-component-update --disable-sync --disable-quic --user-data-dir=$PWD/profile"
timeout 60 chromium $flags --virtual-time-budget=5000 --dump-dom "file://$PWD/page.html" 2>err || { echo "status $?"; tail -n 5 err; }
timeout 60 chromium $flags --screenshot=shot.png --window-size=200,100 "$URL/served.html" 2>/dev/null || echo "status $?"; file -b shot.png | sed 's/PNG.*/png/'
#: served
echo '<h1>served</h1>' >served.html
