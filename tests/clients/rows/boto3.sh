#: expect
111122223333
sts.eu-west-1.amazonaws.com
#: run
export AWS_CA_BUNDLE=$CA ${TLS_PORT:+AWS_ENDPOINT_URL_STS=https://sts.eu-west-1.amazonaws.com$TLS_PORT}
"$DEPS/venv/bin/python" - <<'X'
import boto3
client = boto3.client("sts", region_name="eu-west-1")
print(client.get_caller_identity()["Account"], client.meta.endpoint_url)
X
