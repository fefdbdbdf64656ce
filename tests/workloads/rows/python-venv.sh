#: expect
Successfully installed greeting-1.0
hello from a wheel
#: setup
python3 - <<'X'
import zipfile
w = zipfile.ZipFile("greeting-1.0-py3-none-any.whl", "w")
w.writestr("greeting.py", "def main():\n    print('hello from a wheel')\n")
info = "greeting-1.0.dist-info/"
w.writestr(info + "METADATA", "Metadata-Version: 2.1\nName: greeting\nVersion: 1.0\n")
w.writestr(info + "WHEEL", "Wheel-Version: 1.0\nGenerator: t\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
w.writestr(info + "entry_points.txt", "[console_scripts]\ngreet = greeting:main\n")
w.writestr(info + "RECORD", "".join(f"{n},,\n" for n in ("greeting.py", info + "METADATA", info + "WHEEL", info + "entry_points.txt", info + "RECORD")))
w.close()
X
#: run
python3 -m venv venv
venv/bin/pip install --no-index --disable-pip-version-check ./greeting-1.0-py3-none-any.whl
venv/bin/greet
venv/bin/python -c 'import sys, greeting; print(sys.prefix, greeting.__file__)'
venv/bin/pip list --disable-pip-version-check --format freeze | grep greeting
