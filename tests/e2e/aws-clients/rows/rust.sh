#: expect
:assumed-role/
#: run
"$TOOLS/sdk-whoami"
