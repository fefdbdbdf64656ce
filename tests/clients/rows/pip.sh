#: expect
hello from a wheel
#: serve
mkdir -p simple/greeting
cd simple/greeting
python3 - <<'X'
import zipfile
w = zipfile.ZipFile("greeting-1.0-py3-none-any.whl", "w")
w.writestr("greeting.py", "print('hello from a wheel')\n")
info = "greeting-1.0.dist-info/"
w.writestr(info + "METADATA", "Metadata-Version: 2.1\nName: greeting\nVersion: 1.0\n")
w.writestr(info + "WHEEL", "Wheel-Version: 1.0\nGenerator: t\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
w.writestr(info + "RECORD", "".join(f"{n},,\n" for n in ("greeting.py", info + "METADATA", info + "WHEEL", info + "RECORD")))
w.close()
X
echo '<a href="greeting-1.0-py3-none-any.whl">greeting-1.0-py3-none-any.whl</a>' >index.html
#: run
"$DEPS/venv/bin/python" -m pip install -q --disable-pip-version-check --cert "$CA" --index-url "$TLS/simple/" --target there greeting
PYTHONPATH=there python3 -c 'import greeting'
