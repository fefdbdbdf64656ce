#: expect
111122223333
#: run
export AWS_CA_BUNDLE=$CA
"$DEPS/venv/bin/python" -m awscli sts get-caller-identity --query Account --output text --region eu-west-1 ${TLS_PORT:+--endpoint-url https://sts.eu-west-1.amazonaws.com$TLS_PORT}
