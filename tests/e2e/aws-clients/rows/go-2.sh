#: expect
:assumed-role/
#: run
"$DEPS/go/sdk-whoami"
