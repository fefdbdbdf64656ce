#: expect
111122223333
#: run
aws sts get-caller-identity --query Account --output text --endpoint-url "$STS"
aws sts get-caller-identity --output json --endpoint-url "$STS" | jq -r 'keys | join(" ")'
AWS_PAGER='less -F' aws sts get-caller-identity --query Account --output table --endpoint-url "$STS"
aws s3api list-buckets --endpoint-url http://localhost:1 --cli-connect-timeout 1 2>&1 | grep -o 'Could not connect to the endpoint URL'
