# Without a mount, for which a sandbox has no device.
#: expect
There is no list.
#: run
/usr/bin/s3fs --incomplete-mpu-list bucket -o "url=$URL,use_path_request_style,ecs,endpoint=eu-west-1"
