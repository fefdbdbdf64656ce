#: expect
:assumed-role/
#: run
/usr/bin/aws sts get-caller-identity --query Arn --output text --endpoint-url "$URL"
