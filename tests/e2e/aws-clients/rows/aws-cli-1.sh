#: expect
:assumed-role/
#: run
"$DEPS/venv/bin/python" -m awscli sts get-caller-identity --query Arn --output text --endpoint-url "$URL"
