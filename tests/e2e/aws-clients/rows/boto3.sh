#: expect
:assumed-role/
#: run
"$DEPS/venv/bin/python" -c '
import boto3, os
print(boto3.client("sts", endpoint_url=os.environ["URL"]).get_caller_identity()["Arn"])'
