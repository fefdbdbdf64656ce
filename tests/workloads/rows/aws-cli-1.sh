#: expect
111122223333
#: run
"$DEPS/venv/bin/python" -m awscli sts get-caller-identity --query Account --output text --endpoint-url "$STS"
"$DEPS/venv/bin/python" -m awscli sts no-such-call >out 2>&1 || echo "status $?"
