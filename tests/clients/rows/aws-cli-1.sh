#: expect
111122223333
#: run
export AWS_CA_BUNDLE=$CA
"$DEPS/venv/bin/python" -m awscli sts get-caller-identity --query Account --output text --region eu-west-1
