# An answer without buckets.
#: expect
no more
#: run
export RCLONE_CONFIG=/dev/null
/usr/bin/rclone --retries 1 --low-level-retries 1 lsd ":s3,env_auth,provider=Other,region=eu-west-1,endpoint='$URL':" && echo no more
