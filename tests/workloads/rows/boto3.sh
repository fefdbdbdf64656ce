#: expect
111122223333
#: setup
cat >b.py <<'X'
import boto3, os
from concurrent.futures import ThreadPoolExecutor
c = boto3.client("sts", endpoint_url=os.environ["STS"])
print(c.get_caller_identity()["Account"], boto3.session.Session().region_name)
with ThreadPoolExecutor(8) as pool: print(set(pool.map(lambda _: c.get_caller_identity()["Account"], range(40))))
url = boto3.client("s3").generate_presigned_url("get_object", Params={"Bucket": "b", "Key": "k"}); print(url.split("?")[0])
X
#: run
"$DEPS/venv/bin/python" b.py
