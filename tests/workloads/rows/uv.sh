# Home and project are two mounts, and no hard link crosses them: without UV_LINK_MODE uv copies too, and warns.
#: expect
hello from uv
#: alike
s/ in [0-9.]+m?s$/ in N ms/
#: setup
mkdir -p p/greeting; printf 'def main():\n    print("hello from uv")\n' >p/greeting/__init__.py
cd p; python3 - <<'X'
import zipfile
w = zipfile.ZipFile("greeting-1.0-py3-none-any.whl", "w"); info = "greeting-1.0.dist-info/"
w.write("greeting/__init__.py")
w.writestr(info + "METADATA", "Metadata-Version: 2.1\nName: greeting\nVersion: 1.0\n")
w.writestr(info + "WHEEL", "Wheel-Version: 1.0\nGenerator: t\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
w.writestr(info + "entry_points.txt", "[console_scripts]\ngreet = greeting:main\n")
w.writestr(info + "RECORD", "".join(f"{n},,\n" for n in ("greeting/__init__.py", info + "METADATA", info + "WHEEL", info + "entry_points.txt", info + "RECORD")))
w.close()
X
#: run
uv="$DEPS/venv/bin/uv"
export NO_COLOR=1 UV_LINK_MODE=copy
"$uv" venv --offline --python /usr/bin/python3 -q .venv
"$uv" pip install --offline ./p/greeting-1.0-py3-none-any.whl
.venv/bin/greet; "$uv" pip list --offline; "$uv" run --offline --no-project python -c 'import sys; print(sys.prefix)'
