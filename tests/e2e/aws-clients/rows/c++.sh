# Arrow brings AWS's SDK for C++ along.
#: expect
no more
#: run
"$DEPS/venv/bin/python" -c '
import os
from pyarrow import fs
s3 = fs.S3FileSystem(scheme="http", endpoint_override=os.environ["URL"].split("//")[1], region="eu-west-1")
print(s3.get_file_info(fs.FileSelector("bucket")), "no more")'
